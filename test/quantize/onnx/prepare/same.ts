import { expect } from '@jest/globals';
import type { GraphProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { opName } from '../../../../agent/model/onnx/graph.ts';
import { withGraph } from '../../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import type { Feeds } from '../../../../agent/runtime/types.ts';
import { modelBytes } from '../../../support/onnx-models.ts';
import { relativeError, run } from '../../support.ts';

/** Runs a model before and after a change: names, types, shapes and values stay. */
export async function expectSame(before: OnnxModel, after: OnnxModel, feeds: Feeds) {
  const [old, now] = [await run(before, feeds, 'disabled'), await run(after, feeds, 'disabled')];
  expect(Object.keys(now)).toEqual(Object.keys(old));
  for (const [name, { dtype, shape, data }] of Object.entries(old)) {
    expect(now[name]).toMatchObject({ dtype, shape });
    const numbers = (values: typeof data) => Float32Array.from(values as ArrayLike<number>, Number);
    expect(relativeError(numbers(data), numbers(now[name]!.data))).toBeLessThan(1e-5);
  }
}

/** One pass over the main graph; the model it was given stays as it was. */
export function through(model: OnnxModel, pass: (graph: GraphProto) => GraphProto): OnnxModel {
  const bytes = modelBytes(model);
  const after = withGraph(model, pass(model.graph));
  expect(modelBytes(model)).toEqual(bytes);
  return after;
}

/** The ops of the main graph, in order. */
export const opsOf = ({ graph }: OnnxModel) => graph.node.map(opName);
