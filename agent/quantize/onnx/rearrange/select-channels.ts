import { applyEdit, dropUnused, isEmptyEdit, newEdit } from '../../../model/onnx/edit.ts';

import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import {
  indexGraph,
  intAttribute,
  makeNode,
  nameMaker,
  nodeLabel,
  opName,
} from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, floatData, makeTensor } from '../../../model/onnx/tensor.ts';
import type { TensorStatistics } from '../../../model/statistics.ts';
import { OP_TABLE } from '../op-table.ts';
import { movesOnly, traceFrom, traceThrough } from './trace.ts';
import type { Traced } from './trace.ts';
import { withTensors } from './rearranged.ts';
import type { Rearranged } from './rearranged.ts';

/** Beyond this the product with a matrix of ones and zeros costs more than moving bytes. */
const MOST_CHANNELS = 256;
/** A convolution may read this many times the channels that it needs. */
const MOST_UNREAD = 2;

/** Channels that are picked out of a tensor, one by one. */
interface Selection {
  /** The tensor that they come from, with its shape [1, C, ...]. */
  readonly from: string;
  readonly shape: readonly number[];
  readonly channels: readonly number[];
}

/**
 * Channel shuffles (ShuffleNet) and strided slices pick channels byte by byte, and with channels
 * innermost that is slow. A convolution that reads them can as well read all, with zero weights for
 * those that it does not want; for other readers a 1x1 convolution of ones and zeros picks them,
 * which is exact: 127 / 127 of the same scale.
 */
export function selectChannels({ graph, statistics, isExcluded }: Rearranged): Rearranged {
  const index = indexGraph(graph);
  const edit = newEdit();
  const unique = nameMaker(graph);
  const added = new Map<string, TensorStatistics>();
  for (const node of graph.node) {
    if (!movesOnly(node) || isExcluded?.(node) === true) continue;
    for (const name of node.output) {
      const readers = index.consumers.get(name) ?? [];
      if (index.outputs.has(name) || !readers.some(uses)) continue;
      const selection = selectionOf(name, index, statistics.tensors);
      if (selection === undefined) continue;
      const others = readers.filter((reader) => !readAll(reader, name, selection));
      if (others.length > 0 && node.output.length > 1) continue;
      for (const reader of readers) {
        if (!others.includes(reader)) edit.replace.set(reader, [spread(reader, selection)]);
      }
      if (others.length === 0) continue;
      edit.replace.set(node, [pickBy(node, selection, name)]);
      const seen = statistics.tensors.get(selection.from);
      if (seen !== undefined) added.set(name, picked(seen, selection));
    }
  }
  if (isEmptyEdit(edit)) return { graph, statistics };
  const edited = dropUnused(applyEdit(graph, edit));
  return { graph: edited, statistics: withTensors(statistics, added) };

  /** Readers for which a picked tensor is worth making. */
  function uses(reader: NodeProto): boolean {
    return !movesOnly(reader) && OP_TABLE.has(opName(reader)) && isExcluded?.(reader) !== true;
  }

  /** Whether the reader is a convolution that can read all channels. */
  function readAll(reader: NodeProto, name: string, { channels, shape }: Selection): boolean {
    const weight = index.initializers.get(reader.input[1] ?? '');
    const fits = (shape[1] ?? 0) <= channels.length * MOST_UNREAD;
    const dense = opName(reader) === 'Conv' && (intAttribute(reader, 'group') ?? 1) === 1;
    const known = weight?.dataType === DataType.FLOAT && !index.initializers.has(name);
    return fits && dense && known && reader.input[0] === name && !edit.replace.has(reader);
  }

  function spread(conv: NodeProto, selection: Selection): NodeProto {
    const weight = index.initializers.get(conv.input[1] ?? '');
    if (weight === undefined) return conv;
    const name = unique(`${weight.name ?? 'weight'}_spread`);
    edit.initializers.set(name, spreadWeights(weight, name, selection));
    return { ...conv, input: [selection.from, name, ...conv.input.slice(2)] };
  }

  function pickBy(node: NodeProto, { from, shape, channels }: Selection, to: string): NodeProto {
    const inputs = shape[1] ?? 0;
    const ones = new Float32Array(channels.length * inputs);
    channels.forEach((channel, i) => (ones[i * inputs + channel] = 1));
    const name = unique(`${to}_picks`);
    const dims = [channels.length, inputs, ...shape.slice(2).map(() => 1)];
    edit.initializers.set(name, makeTensor(name, DataType.FLOAT, dims, ones));
    // Under its old name it can still be given back to float.
    return makeNode('Conv', [from, name], [to], { name: nodeLabel(node) });
  }
}

/** Where the channels of a tensor come from, through ops that only move; nothing where in one piece. */
function selectionOf(
  name: string,
  index: GraphIndex,
  tensors: ReadonlyMap<string, TensorStatistics>,
): Selection | undefined {
  const chain: NodeProto[] = [];
  let from = name;
  for (let maker = index.producer.get(from); maker !== undefined && movesOnly(maker);) {
    chain.unshift(maker);
    from = maker.input[0] ?? '';
    maker = index.producer.get(from);
  }
  const origin = tensors.get(from);
  const maker = index.producer.get(from);
  if (origin?.dtype !== 'float32' || maker === undefined || !OP_TABLE.has(opName(maker))) {
    return undefined;
  }
  const { shape } = origin;
  if (shape.length < 3 || shape[0] !== 1 || (shape[1] ?? 0) > MOST_CHANNELS) return undefined;
  const channels = channelsOf(traceChain(traceFrom(shape), chain, name, index), shape);
  return channels === undefined || isRun(channels) ? undefined : { from, shape, channels };
}

function traceChain(
  start: Traced,
  chain: readonly NodeProto[],
  name: string,
  index: GraphIndex,
): Traced | undefined {
  let current: Traced | undefined = start;
  chain.forEach((node, i) => {
    const wanted = chain[i + 1]?.input[0] ?? name;
    if (current === undefined) return;
    current = traceThrough(current, node, index)?.[node.output.indexOf(wanted)];
  });
  return current;
}

/** The channel of `shape` that each whole channel is; undefined where pixels move, too. */
function channelsOf(traced: Traced | undefined, shape: readonly number[]): number[] | undefined {
  if (traced === undefined || traced.shape.length !== shape.length) return undefined;
  if (traced.shape.some((size, i) => i !== 1 && size !== shape[i])) return undefined;
  const area = shape.slice(2).reduce((product, size) => product * size, 1);
  const channels = Array.from({ length: traced.shape[1] ?? 0 }, (_, c) =>
    Math.floor((traced.from[c * area] ?? 0) / area),
  );
  const whole = traced.from.every(
    (from, i) => from === (channels[Math.floor(i / area)] ?? 0) * area + (i % area),
  );
  return whole ? channels : undefined;
}

const isRun = (channels: readonly number[]) =>
  channels.every((channel, i) => channel === (channels[0] ?? 0) + i);

function spreadWeights(
  weight: TensorProto,
  name: string,
  { shape, channels }: Selection,
): TensorProto {
  const [outputs = 0, inputs = 0, ...kernel] = weight.dims;
  const taps = kernel.reduce((product, size) => product * size, 1);
  const wide = shape[1] ?? 0;
  const values = floatData(weight);
  const spread = new Float32Array(outputs * wide * taps);
  for (let o = 0; o < outputs; o++) {
    channels.forEach((channel, i) => {
      const at = (o * inputs + i) * taps;
      spread.set(values.subarray(at, at + taps), (o * wide + channel) * taps);
    });
  }
  return makeTensor(name, DataType.FLOAT, [outputs, wide, ...kernel], spread);
}

/** The range of all channels, so that picking some rounds nothing. */
function picked(seen: TensorStatistics, { shape, channels }: Selection): TensorStatistics {
  const { channelMean: mean, ...rest } = seen;
  const made = { ...rest, shape: shape.map((size, i) => (i === 1 ? channels.length : size)) };
  if (mean === undefined) return made;
  return { ...made, channelMean: Float64Array.from(channels, (channel) => mean[channel] ?? 0) };
}
