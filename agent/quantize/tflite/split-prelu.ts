import { tensorNameMaker } from '../../model/tflite/graph.ts';
import { floatData, isPlainFloats } from '../../model/tflite/tensor.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import { makeOperator } from '../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';
import type { Statistics, TensorStatistics } from '../../model/statistics.ts';
import type { RestatedKnown } from './restate.ts';

/**
 * PRELU as relu(x) + slopes * (x - relu(x)): TensorFlow Lite has no 16-bit kernel for the whole, and
 * one for each of the parts.
 * @param isKept which operators are to stay as they are
 */
export function splitPrelus(
  graph: TfliteGraph,
  statistics: Statistics,
  isKept: (operator: TfliteOperator) => boolean,
): RestatedKnown {
  const names = uniqueTensorNames(graph);
  const unique = tensorNameMaker(graph);
  const tensors = [...graph.tensors];
  const known = new Map(statistics.tensors);
  const moved = new Map<TfliteOperator, TfliteOperator>();
  const operators = graph.operators.flatMap((operator) => {
    const [x = -1, slopes = -1] = operator.inputs;
    const [input, factors, made] = [x, slopes, operator.outputs[0] ?? -1].map((at) => tensors[at]);
    const seen = statistics.tensors.get(names[x] ?? '');
    if (operator.op !== 'PRELU' || isKept(operator) || !isPlainFloats(factors)) return [operator];
    if (input === undefined || made === undefined || seen === undefined) return [operator];
    const add = (part: string, { min, max }: Range) => {
      const name = unique(`${made.name}_${part}`);
      known.set(name, { ...withoutMean(seen), min, max, seenMin: min, seenMax: max });
      return tensors.push({ ...input, name }) - 1;
    };
    const ranges = rangesOf(seen, floatData(factors));
    const [above, below] = [add('above', ranges.above), add('below', ranges.below)];
    const scaled = add('scaled', ranges.scaled);
    const sum = makeOperator({ ...operator, op: 'ADD', inputs: [above, scaled], options: ADD });
    moved.set(operator, sum);
    return [
      makeOperator({ op: 'RELU', inputs: [x], outputs: [above] }),
      makeOperator({ op: 'SUB', inputs: [x, above], outputs: [below], options: SUB }),
      makeOperator({ op: 'MUL', inputs: [below, slopes], outputs: [scaled], options: MUL }),
      sum,
    ];
  });
  if (moved.size === 0) return { graph, moved, statistics };
  return {
    graph: { ...graph, tensors, operators },
    moved,
    statistics: { ...statistics, tensors: known },
  };
}

const NONE = { fusedActivationFunction: 'NONE' } as const;
const ADD = { kind: 'AddOptions', ...NONE, potScaleInt16: false } as const;
const SUB = { kind: 'SubOptions', ...NONE, potScaleInt16: false } as const;
const MUL = { kind: 'MulOptions', ...NONE } as const;

interface Range {
  readonly min: number;
  readonly max: number;
}

/** Of relu(x), of x below zero, and of that times any of the slopes. */
function rangesOf({ min, max }: Range, slopes: Float32Array) {
  const lowest = Math.min(min, 0);
  const ends = slopes.reduce(
    (sofar, slope) => ({
      min: Math.min(sofar.min, slope * lowest),
      max: Math.max(sofar.max, slope * lowest),
    }),
    { min: 0, max: 0 },
  );
  return { above: { min: 0, max: Math.max(max, 0) }, below: { min: lowest, max: 0 }, scaled: ends };
}

function withoutMean({ channelMean: _channelMean, ...rest }: TensorStatistics): TensorStatistics {
  return rest;
}
