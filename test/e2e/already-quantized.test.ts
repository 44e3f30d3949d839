import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { quantizeSchema } from '../../agent/contracts/quantize.ts';
import { makeNode } from '../../agent/model/onnx/graph.ts';
import { DataType, floatTensor, makeTensor } from '../../agent/model/onnx/tensor.ts';
import { tinyBytes } from '../support/onnx-models.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE, refusal } from './support/expect.ts';
import { testFiles } from './support/files.ts';

afterAll(removeFolders);
const files = testFiles();
const LIMIT_MS = 120_000;

/** One convolution as training with fake quantization leaves it: float weights behind Q and DQ. */
function trained(): string {
  const fake = (from: string, to: string, on: string) => [
    makeNode('QuantizeLinear', [from, `${on}_scale`, `${on}_zero`], [`${to}_q`]),
    makeNode('DequantizeLinear', [`${to}_q`, `${on}_scale`, `${on}_zero`], [to]),
  ];
  const weights = Float32Array.from({ length: 16 }, (_, i) => (i - 8) / 20);
  const bytes = tinyBytes({
    inputs: { x: [DataType.FLOAT, [1, 4, 8, 8]] },
    outputs: { y: [DataType.FLOAT, [1, 4, 8, 8]] },
    initializers: [
      floatTensor('x_scale', 0.02),
      makeTensor('x_zero', DataType.UINT8, [], Uint8Array.of(128)),
      makeTensor('w', DataType.FLOAT, [4, 4, 1, 1], weights),
      floatTensor('w_scale', 0.01),
      makeTensor('w_zero', DataType.INT8, [], Int8Array.of(0)),
      floatTensor('gamma', [1, 2, -1, 0.5]),
      floatTensor('zeros', [0, 0.1, 0, 0.2]),
      floatTensor('ones', [1, 1, 2, 1]),
    ],
    nodes: [
      ...fake('x', 'x1', 'x'),
      ...fake('w', 'w1', 'w'),
      makeNode('Conv', ['x1', 'w1'], ['c']),
      makeNode('BatchNormalization', ['c', 'gamma', 'zeros', 'zeros', 'ones'], ['n']),
      ...fake('n', 'y', 'x'),
    ],
  });
  return files.put('trained.onnx', bytes);
}

test.each(['int8-static', 'auto'])(
  'an already quantized model to %s: converted without samples',
  async (scheme) => {
    const output = files.path(`${scheme}.onnx`);
    const ran = await agent(['quantize', trained(), '--to', scheme, '-o', output, '--json']);
    expect(ran).toMatchObject(DONE);
    const report = quantizeSchema.parse(JSON.parse(ran.out));
    expect(report).toMatchObject({ integerCoverage: 1, found: { kind: 'qdq' }, left: [] });
    expect(report.found?.changes).toContain('weights stored as integers');
  },
  LIMIT_MS,
);

test(
  'twice gives the same file, and people are told that it is kept',
  async () => {
    const [once, twice] = [files.path('once.onnx'), files.path('twice.onnx')];
    await agent(['quantize', trained(), '--to', 'int8-static', '-o', once]);
    const ran = await agent(['quantize', once, '--to', 'int8-static', '-o', twice]);
    expect(ran).toMatchObject(DONE);
    expect(ran.out).toContain('already quantized (qdq), kept as it is');
    expect(readFileSync(twice)).toEqual(readFileSync(once));
  },
  LIMIT_MS,
);

test.each([
  ['another scheme', ['--to', 'fp16'], 'the model is quantized already: give the float model'],
  [
    'saved ranges',
    ['--to', 'int8-static', '--save-ranges', files.path('r.json')],
    'leave out --save-ranges',
  ],
])(
  '%s for an already quantized model: one clear line',
  async (_, flags, says) => {
    const output = files.path('refused.onnx');
    const ran = await agent(['quantize', trained(), ...flags, '-o', output]);
    expect(ran).toMatchObject(refusal(2, says));
  },
  LIMIT_MS,
);
