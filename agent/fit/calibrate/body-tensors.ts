import type { AccumulatorState } from '../../calibration/observers/accumulator.ts';
import type { Collection } from '../../calibration/observers/statistics.ts';
import { exposeBodies } from '../../model/onnx/expose-bodies.ts';
import type { Shown } from '../../model/onnx/expose-bodies.ts';
import type { GraphProto } from '../../model/onnx/generated/messages.ts';
import { subgraphsOf } from '../../model/onnx/graph.ts';
import { withGraph } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { DataType } from '../../model/onnx/tensor.ts';
import { inferTypes } from '../../model/onnx/types.ts';

/** A model whose tensors can all be looked at in its main graph. */
export interface OpenedBodies {
  readonly model: OnnxModel;
  /** What to look at, as the main graph calls it. */
  readonly tensors: readonly string[];
  /** What was found, by the names that the tensors really have. */
  readonly restore: (found: Collection) => Collection;
}

/** Brings those of `names` that belong to bodies of control flow into the main graph. */
export function openBodies(model: OnnxModel, names: ReadonlySet<string>): OpenedBodies {
  const inside = floatsOfBodies(model);
  if (inside.size === 0) return { model, tensors: [...names], restore: (found) => found };
  const wanted = new Set([...names].filter((name) => inside.has(name)));
  const { graph, shown } = exposeBodies(model.graph, wanted);
  const outside = [...names].filter((name) => !inside.has(name));
  return {
    model: withGraph(model, graph),
    tensors: [...outside, ...shown.map(({ as }) => as)],
    restore: (found) => renamed(found, shown),
  };
}

/** The float32 tensors that nodes of bodies make. */
function floatsOfBodies(model: OnnxModel): ReadonlySet<string> {
  const bodies = [...bodiesOf(model.graph)];
  if (bodies.length === 0) return new Set();
  const types = inferTypes(model);
  return new Set(
    bodies.flatMap((body) => {
      const typeOf = types.inside(body);
      const made = body.node.flatMap(({ output }) => output);
      return made.filter((name) => name !== '' && typeOf(name) === DataType.FLOAT);
    }),
  );
}

function* bodiesOf(graph: GraphProto): Generator<GraphProto> {
  for (const node of graph.node) {
    for (const body of subgraphsOf(node)) {
      yield body;
      yield* bodiesOf(body);
    }
  }
}

function renamed(found: Collection, shown: readonly Shown[]): Collection {
  const byName = new Map(shown.map((one) => [one.as, one]));
  const tensors = [...found.tensors].map(([name, state]) => {
    const one = byName.get(name);
    if (one === undefined) return [name, state] as const;
    return [one.tensor, one.stacked ? ofOneIteration(state) : state] as const;
  });
  return { ...found, tensors: new Map(tensors) };
}

/** Iterations lie along the first axis; channels were told apart along the wrong one. */
function ofOneIteration(state: AccumulatorState): AccumulatorState {
  return { ...state, shape: state.shape.slice(1), channelSums: null, channelCount: 0 };
}
