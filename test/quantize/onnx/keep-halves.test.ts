import { describe, expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType, makeTensor } from '../../../agent/model/onnx/tensor.ts';
import { keepHalves } from '../../../agent/quantize/onnx/keep-halves.ts';
import { exposeConstants, simplify } from '../../../agent/quantize/onnx/prepare/prepare.ts';
import { withOneFloat } from '../../../agent/quantize/onnx/prepare/one-float.ts';
import { modelBytes, tinyGraph, tinyModel } from '../../support/onnx-models.ts';
import {
  floats,
  kernelsOf,
  randomTensor,
  randomValues,
  randoms,
  run,
  weights,
} from '../support.ts';

const { BOOL, FLOAT, FLOAT16 } = DataType;
const next = randoms(4);

/** 1.0, 1.5, 2.0, 2.5 and their like, as float16. */
const HALVES = Uint16Array.from({ length: 32 * 16 }, (_, at) => 0x3c00 + (at % 8) * 0x200);
const half = makeTensor('w', FLOAT16, [32, 16], HALVES);

const branch = (name: string) => ({
  outputs: { [name]: [FLOAT16] as const },
  initializers: [{ ...half, name: `w_${name}` }],
  nodes: [makeNode('MatMul', ['x', `w_${name}`], [name])],
});

const branching = tinyModel({
  inputs: { go: [BOOL, []], x: [FLOAT16, [2, 32]] },
  outputs: { y: [FLOAT16, [2, 16]] },
  nodes: [
    makeNode('If', ['go'], ['y'], {
      attributes: { then_branch: tinyGraph(branch('a')), else_branch: tinyGraph(branch('b')) },
    }),
  ],
});

const inFloat32 = (model: typeof branching) => simplify(withOneFloat(exposeConstants(model)));

describe('constants of a float16 model that computes in float32', () => {
  test('take two bytes again, in branches, too, and cost no time', async () => {
    const wide = inFloat32(branching);
    const made = keepHalves(branching, wide);
    expect(modelBytes(made).length).toBeLessThan(modelBytes(wide).length - 2 * 32 * 16);
    const feeds = {
      go: { dtype: 'bool', shape: [], data: Uint8Array.of(1) } as const,
      x: { dtype: 'float16', shape: [2, 32], data: HALVES.slice(0, 64) } as const,
    };
    const [before, after] = [await run(wide, feeds), await run(made, feeds)];
    expect([...after['y']!.data]).toEqual([...before['y']!.data]);
    expect(await kernelsOf(made, feeds)).toEqual(await kernelsOf(wide, feeds));
  });

  test('stay float32 where float16 cannot hold them, where they are few or inputs', () => {
    const product = (w: string) => ({
      inputs: { x: [FLOAT, [2, 32]] as const, given: [FLOAT, [32, 16]] as const },
      outputs: { y: [FLOAT] as const },
      initializers: [
        weights('odd', [32, 16], randomValues(next, 512)),
        weights('few', [32, 15], new Float32Array(480).fill(1.5)),
        weights('given', [32, 16], new Float32Array(512).fill(1.5)),
        weights('large', [32, 16], new Float32Array(512).fill(65536)),
      ],
      nodes: [makeNode('MatMul', ['x', w], ['y'])],
    });
    for (const name of ['odd', 'few', 'given', 'large']) {
      const made = tinyModel(product(name));
      expect(keepHalves(branching, made).graph).toEqual(made.graph);
    }
  });

  test('and those of a float32 model are its own affair', async () => {
    const model = tinyModel({
      inputs: { x: [FLOAT, [2, 32]] },
      outputs: { y: [FLOAT] },
      initializers: [weights('w', [32, 16], new Float32Array(512).fill(1.5))],
      nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
    });
    expect(keepHalves(model, model)).toBe(model);
    const made = keepHalves(branching, model);
    const x = randomTensor(next, [2, 32]);
    const [before, after] = [await run(model, { x }), await run(made, { x })];
    expect(floats(after['y']!.data)).toEqual(floats(before['y']!.data));
    expect(made.graph.initializer.map(({ dataType }) => dataType)).toEqual([FLOAT16]);
  });
});
