import { expect } from '@jest/globals';
import type { GraphProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { opName } from '../../../../agent/model/onnx/graph.ts';
import { withGraph } from '../../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import type { Feeds } from '../../../../agent/runtime/types.ts';
import { modelBytes } from '../../../support/onnx-models.ts';
import { relativeError, run } from '../../support.ts';

/** What rounding in another order may change. */
export const SAME = 1e-5;

const numbers = (values: unknown) => Float32Array.from(values as ArrayLike<number>, Number);

/**
 * The largest relative difference between the outputs of a model before and after a change; their
 * names, types and shapes have to stay.
 */
export async function difference(
  before: OnnxModel,
  after: OnnxModel,
  feeds: Feeds,
): Promise<number> {
  const [old, now] = [await run(before, feeds, 'disabled'), await run(after, feeds, 'disabled')];
  expect(Object.keys(now)).toEqual(Object.keys(old));
  const errors = Object.entries(old).map(([name, { dtype, shape, data }]) => {
    expect(now[name]).toMatchObject({ dtype, shape });
    return relativeError(numbers(data), numbers(now[name]!.data));
  });
  return Math.max(...errors);
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
