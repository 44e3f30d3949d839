// @ts-check
// Which input and output of LiteRT is which of ours. LiteRT knows those of a signature only, by its
// names and in an order of its own; for files without any it makes one up, in the order of the graph.
import { LitertError } from './error.js';

/** @typedef {import('../../agent/model/tflite/types.ts').TfliteModel} TfliteModel */
/** @typedef {import('../../agent/model/tflite/types.ts').TfliteTensor} TfliteTensor */

/**
 * @typedef {object} Port an input or output of the first subgraph
 * @property {string} name ours
 * @property {string | null} theirs in LiteRT; null where it goes by place
 * @property {TfliteTensor} tensor
 *
 * @typedef {object} Ports
 * @property {number} signature its place in the file; 0 for one that LiteRT makes up
 * @property {readonly Port[]} inputs in the order of the graph
 * @property {readonly Port[]} outputs
 * @property {string | null} obstacle why LiteRT would run it and give back nonsense
 */

/**
 * @param {TfliteModel} model
 * @param {(graph: import('../../agent/model/tflite/types.ts').TfliteGraph) => readonly string[]} uniqueNames
 *   the agent's `uniqueTensorNames`, which comes from where it is built
 * @param {TfliteModel} like whose inputs and outputs, by place, give the names: another version of the model
 * @returns {Ports}
 */
export function portsOf(model, uniqueNames, like = model) {
  const graph = mainGraph(model);
  const other = mainGraph(like);
  const names = uniqueNames(other);
  const at = model.signatures.findIndex(({ subgraph }) => subgraph === 0);
  const signature = model.signatures[at];
  if (signature === undefined && model.signatures.length > 0) {
    throw new LitertError('no signature is of the first subgraph');
  }
  const ports = (/** @type {'inputs' | 'outputs'} */ side) =>
    graph[side].flatMap((tensor, place) => {
      const theirs = signature?.[side].find((one) => one.tensor === tensor)?.name ?? null;
      const name = names[other[side][place] ?? -1];
      const described = graph.tensors[tensor];
      if (name === undefined || described === undefined) {
        throw new LitertError(`nothing corresponds to number ${place} of the ${side}`);
      }
      // What a signature leaves out is no way into LiteRT, nor out of it.
      return signature && theirs === null ? [] : [{ name, theirs, tensor: described }];
    });
  return {
    signature: Math.max(at, 0),
    inputs: ports('inputs'),
    outputs: ports('outputs'),
    obstacle: obstacleOf(graph),
  };
}

/** @param {TfliteModel} model */
function mainGraph({ subgraphs: [graph] }) {
  if (graph === undefined) throw new LitertError('the file has no subgraph');
  return graph;
}

/**
 * Where LiteRT has each port.
 * @param {readonly Port[]} ports
 * @param {readonly string[]} names of LiteRT, in its order
 */
export function placesOf(ports, names) {
  return ports.map(({ theirs, name }, index) => {
    const place = theirs === null ? index : names.indexOf(theirs);
    if (place < 0 || place >= names.length) {
      throw new LitertError(`'${theirs ?? name}' is none of: ${names.join(', ')}`);
    }
    return place;
  });
}

/** Inputs that say what shape comes out, by operator. @type {Readonly<Record<string, readonly number[]>>} */
const SHAPE_INPUTS = {
  BATCH_TO_SPACE_ND: [1, 2],
  BROADCAST_TO: [1],
  EXPAND_DIMS: [1],
  FILL: [0],
  MEAN: [1],
  MIRROR_PAD: [1],
  ONE_HOT: [1],
  PAD: [1],
  PADV2: [1],
  RANGE: [0, 1, 2],
  REDUCE_MAX: [1],
  REDUCE_MIN: [1],
  RESHAPE: [1],
  RESIZE_BILINEAR: [1],
  RESIZE_NEAREST_NEIGHBOR: [1],
  SLICE: [1, 2],
  SPACE_TO_BATCH_ND: [1, 2],
  STRIDED_SLICE: [1, 2, 3],
  SUM: [1],
  TILE: [1],
  TOPK_V2: [1],
  TRANSPOSE: [1],
  TRANSPOSE_CONV: [0],
};

/**
 * LiteRT makes outputs before they are computed, and where an operator finds another shape, it gives
 * back whatever was in that memory.
 * @param {import('../../agent/model/tflite/types.ts').TfliteGraph} graph
 */
export function computesShapes(graph) {
  return graph.operators.some(({ op, inputs }) =>
    (SHAPE_INPUTS[op] ?? []).some((at) => graph.tensors[inputs[at] ?? -1]?.data === null),
  );
}

/**
 * LiteRT says nothing of these.
 * @param {import('../../agent/model/tflite/types.ts').TfliteGraph} graph
 */
function obstacleOf(graph) {
  if (computesShapes(graph)) return 'shapes are computed as it runs: fix its batch';
  const custom = graph.operators.find(({ op }) => op === 'CUSTOM');
  if (custom !== undefined) {
    return `operator '${custom.customCode}' is none of TFLite's own, and passed over`;
  }
  const known = graph.operators.find(
    ({ op, outputs }) => ['SHAPE', 'RANK'].includes(op) && graph.outputs.includes(outputs[0] ?? -1),
  );
  return known === undefined ? null : `the output of ${known.op} is known before it runs, and lost`;
}
