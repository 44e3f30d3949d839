import { expect, test } from '@jest/globals';
import { renderQuantize } from '../../agent/cli/quantize-account.ts';
import { quantizeSchema } from '../../agent/contracts/quantize.ts';
import { quantizeReport, run } from './support.ts';

test('tells what was written and what stayed float', async () => {
  const ran = await run(['quantize', 'm.onnx', '--to', 'int8-static', '-o', 'small.onnx']);
  expect(ran.code).toBe(0);
  expect(ran.out.split('\n')).toEqual([
    'Wrote     small.onnx (int8-static u8/s8 per channel)',
    'Size      486 kB, was 1.88 MB, 3.9x smaller',
    'Took      1.23 s, peak memory 210 MB',
    'Nodes     27 integer, 0 fp16, 3 float',
    'Integer   98.8% of the multiply-accumulates',
    'Accuracy  SQNR 28.5 dB against float, on a few calibration samples',
    'In float  2 Softmax: no integer kernel',
    '          1 Sub: slower in integers',
    '',
  ]);
});

test('--json prints the account', async () => {
  const line =
    'quantize m.onnx --to int8-static -o small.onnx --samples data.npz --observer entropy --json';
  const ran = await run(line.split(' '));
  expect(quantizeSchema.parse(JSON.parse(ran.out))).toEqual(quantizeReport);
  expect(ran.quantized).toEqual([
    {
      modelPath: 'm.onnx',
      scheme: 'int8-static',
      output: 'small.onnx',
      ranges: [],
      samples: { path: 'data.npz', command: undefined },
      image: {},
      observer: 'entropy',
    },
  ]);
});

test.each([
  ['int7', 'is no scheme: use auto, int8-static, int8-dynamic, int8-only, int16x8, weight-int8'],
  ['toString', 'is no scheme'],
])('refused: --to %s', async (scheme, message) => {
  const ran = await run(['quantize', 'm.onnx', '--to', scheme, '-o', 'small.onnx']);
  expect(ran).toMatchObject({ code: 2, out: '', quantized: [] });
  expect(ran.err).toContain(message);
});

test('needs a scheme and a file to write', async () => {
  expect((await run(['quantize', 'm.onnx', '-o', 'x'])).err).toContain('give --to <scheme> (auto,');
  const both = ['quantize', 'm.onnx', '--to', 'fp16', '--recipe', 'r.json', '-o', 'x'];
  expect((await run(both)).err).toContain('give --to or --recipe, not both');
  const recipe = await run(['quantize', 'm.onnx', '--recipe', 'r.json', '-o', 'x']);
  expect(recipe.quantized).toMatchObject([{ scheme: { recipe: 'r.json' } }]);
  expect((await run(['quantize', 'm.onnx', '--to', 'fp16'])).err).toContain(
    "'-o, --output <file>'",
  );
});

test('reasons that differ in a figure only are one line', () => {
  const reason = (db: string) =>
    `given back to float: rounded alone it holds the model to ${db} dB`;
  const left = [
    { node: 'a', op: 'Conv', reason: reason('9.5') },
    { node: 'b', op: 'Gemm', reason: reason('8.0') },
    { node: 'c', op: 'Conv', reason: reason('22.4') },
    { node: 'd', op: 'Conv', reason: reason('7.3') },
    { node: 'e', op: 'Conv', reason: reason('9.5') },
  ];
  const lines = renderQuantize({ ...quantizeReport, left }, 120).split('\n');
  expect(lines.slice(-3)).toEqual([
    'In float  4 Conv: given back to float: rounded alone it holds the model to 7.3..22.4 dB',
    '          1 Gemm: given back to float: rounded alone it holds the model to 8.0 dB',
    '',
  ]);
});
