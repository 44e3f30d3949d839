import type { GraphProto, NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import {
  floatAttribute,
  indexGraph,
  intAttribute,
  isDefaultDomain,
  longsAttribute,
  namelessNode,
  mapGraphs,
  nameMaker,
  nodeLabel,
  opName,
  stringAttribute,
  tensorAttribute,
  withAttributes,
} from '../../../model/onnx/graph.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { floatTensor, int64Tensor, tensorNumbers } from '../../../model/onnx/tensor.ts';
import { QuantizeError } from '../../errors.ts';

/**
 * Brings a model to the operator set in which the runtime's integer kernels and per-channel scales
 * exist. Only what changed its meaning between opset 7 and 13 is rewritten (ONNX Operators.md,
 * "Changelog"); everything else means the same under both numbers.
 */
export const TARGET_OPSET = 13;

/** Before this, broadcasting was an attribute of each op. */
const OLDEST_OPSET = 7;

/** From IR 4 on an initializer need not be listed as an input. */
const MINIMUM_IR = 7;

export function upgradeOpset(model: OnnxModel): OnnxModel {
  if (model.opset >= TARGET_OPSET) return model;
  if (model.opset < OLDEST_OPSET) {
    const message = `opset ${model.opset} is too old to quantize: export the model with opset 13 or later`;
    throw new QuantizeError('OLD_OPSET', message);
  }
  const context: Context = { from: model.opset, unique: nameMaker(model.graph), added: [] };
  const graph = mapGraphs(model.graph, (one) => upgradeGraph(one, context));
  const initializer = [...graph.initializer, ...context.added];
  const opsetImport = model.proto.opsetImport.map((entry) =>
    isDefaultDomain(entry.domain) ? { ...entry, version: TARGET_OPSET } : entry,
  );
  const irVersion = Math.max(model.proto.irVersion ?? 0, MINIMUM_IR);
  const proto = { ...model.proto, opsetImport, irVersion };
  return withGraph({ ...model, proto, opset: TARGET_OPSET }, { ...graph, initializer });
}

interface Context {
  readonly from: number;
  readonly unique: (wish: string) => string;
  /** New constants; bodies read them from the main graph. */
  readonly added: TensorProto[];
}

interface GraphContext extends Context {
  /** Whether a node, a body or the graph's caller reads a tensor. */
  readonly isRead: (name: string) => boolean;
  /** The value of a constant of the same graph. */
  readonly numbers: (name: string) => readonly number[] | undefined;
}

type Rewrite = (node: NodeProto, context: GraphContext) => readonly NodeProto[];

interface Change {
  /** The opset that changed the op. */
  readonly since: number;
  readonly rewrite: Rewrite;
}

function upgradeGraph(graph: GraphProto, outer: Context): GraphProto {
  const { consumers, outputs, initializers, producer } = indexGraph(graph);
  const context: GraphContext = {
    ...outer,
    isRead: (name) => consumers.has(name) || outputs.has(name),
    numbers: (name) => {
      const maker = producer.get(name);
      const isConstant = maker !== undefined && opName(maker) === 'Constant';
      const tensor = isConstant ? tensorAttribute(maker, 'value') : initializers.get(name);
      return tensor === undefined ? undefined : tensorNumbers(tensor);
    },
  };
  return {
    ...graph,
    node: graph.node.flatMap((node) => {
      const changes = (CHANGES.get(opName(node)) ?? []).filter(({ since }) => since > context.from);
      return changes.reduce<readonly NodeProto[]>(
        (nodes, { rewrite }) => nodes.flatMap((one) => rewrite(one, context)),
        [node],
      );
    }),
  };
}

function constant({ unique, added }: Context, tensor: TensorProto): string {
  const name = unique(tensor.name ?? 'constant');
  added.push({ ...tensor, name });
  return name;
}

const ints = (context: Context, stem: string, values: readonly bigint[]) =>
  constant(context, int64Tensor(stem, values));

/** Attributes that became inputs: the listed names, in the order of the new inputs. */
function intsToInputs(...names: readonly string[]): Rewrite {
  return (node, context) => {
    const added = names.map((name) => {
      // Not through Number: the largest int64 stands for "to the end".
      const values = longsAttribute(node, name);
      return values === undefined ? '' : ints(context, `${nodeLabel(node)}_${name}`, values);
    });
    while (added.at(-1) === '') added.pop();
    const changes = Object.fromEntries(names.map((name) => [name, undefined]));
    return [{ ...withAttributes(node, changes), input: [...node.input, ...added] }];
  };
}

const clipBounds: Rewrite = (node, context) => {
  const bound = (name: string) => {
    const value = floatAttribute(node, name);
    const stem = `${nodeLabel(node)}_${name}`;
    return value === undefined ? '' : constant(context, floatTensor(stem, value));
  };
  const input = [node.input[0] ?? '', bound('min'), bound('max')];
  while (input.at(-1) === '') input.pop();
  return [{ ...withAttributes(node, { min: undefined, max: undefined }), input }];
};

const padAmounts: Rewrite = (node, context) => {
  const stem = nodeLabel(node);
  const pads = ints(context, `${stem}_pads`, longsAttribute(node, 'pads') ?? []);
  const value = floatAttribute(node, 'value') ?? 0;
  const input = [node.input[0] ?? '', pads];
  if (value !== 0) input.push(constant(context, floatTensor(`${stem}_value`, value)));
  return [{ ...withAttributes(node, { pads: undefined, value: undefined }), input }];
};

const topK: Rewrite = (node, context) => {
  const k = ints(context, `${nodeLabel(node)}_k`, [BigInt(intAttribute(node, 'k') ?? 1)]);
  return [{ ...withAttributes(node, { k: undefined }), input: [node.input[0] ?? '', k] }];
};

/**
 * Upsample 7 and 9 and Resize 10 sampled at index / scale. onnxruntime rounds that down where it
 * enlarges and up where it shrinks (upsamplebase.h, SIMPLE).
 */
const resize: Rewrite = (node, context) => {
  const attribute = floatsOf(node);
  const input =
    attribute === undefined
      ? (node.input[1] ?? '')
      : constant(context, floatTensor(`${nodeLabel(node)}_scales`, attribute));
  const scales = attribute ?? context.numbers(input) ?? [];
  const shrinks = scales.some((scale) => scale < 1);
  const mode = stringAttribute(node, 'mode') === 'linear' ? 'linear' : 'nearest';
  if (mode === 'nearest' && shrinks && scales.some((scale) => scale > 1)) {
    throw refused(node, 'shrinks one axis and grows another');
  }
  const moved = withAttributes(node, {
    scales: undefined,
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: shrinks ? 'ceil' : 'floor',
    mode,
  });
  return [{ ...moved, opType: 'Resize', input: [node.input[0] ?? '', '', input] }];
};

function floatsOf(node: NodeProto): readonly number[] | undefined {
  return node.attribute.find(({ name }) => name === 'scales')?.floats;
}

/**
 * Softmax before 13 flattened to two axes at `axis` (1 by default). The rewrite flattens, takes the
 * new Softmax of the last axis and restores the shape.
 */
const softmax: Rewrite = (node, { unique }) => {
  const axis = intAttribute(node, 'axis') ?? 1;
  if (axis === -1) return [node];
  const [x = ''] = node.input;
  const [y = ''] = node.output;
  const [flat, rows, shape] = [unique(`${y}_flat`), unique(`${y}_rows`), unique(`${y}_shape`)];
  return [
    namelessNode('Flatten', [x], [flat], { axis: BigInt(axis) }),
    withAttributes({ ...node, input: [flat], output: [rows] }, { axis: -1n }),
    namelessNode('Shape', [x], [shape]),
    namelessNode('Reshape', [rows, shape], [y]),
  ];
};

const batchNorm: Rewrite = (node) => {
  if (intAttribute(node, 'spatial') === 0) throw refused(node, 'statistics per element');
  return [withAttributes(node, { spatial: undefined })];
};

/** Dropout does nothing at inference; what its mask then holds has changed more than once. */
const dropout: Rewrite = (node, { isRead }) => {
  if (isRead(node.output[1] ?? '')) throw refused(node, 'its mask is read');
  return [{ ...node, opType: 'Identity', attribute: [], output: node.output.slice(0, 1) }];
};

const refuse =
  (what: string): Rewrite =>
  (node) => {
    throw refused(node, what);
  };

function refused(node: NodeProto, what: string): QuantizeError {
  const where = `${opName(node)} '${nodeLabel(node)}'`;
  return new QuantizeError(
    'OLD_OPSET',
    `${where} (${what}): export the model with opset 13 or later`,
  );
}

const renamed =
  (opType: string): Rewrite =>
  (node) => [{ ...node, opType }];

const CHANGES: ReadonlyMap<string, readonly Change[]> = new Map<string, readonly Change[]>([
  ['Slice', [{ since: 10, rewrite: intsToInputs('starts', 'ends', 'axes') }]],
  ['TopK', [{ since: 10, rewrite: topK }]],
  ['Upsample', [{ since: 10, rewrite: resize }]],
  ['Resize', [{ since: 11, rewrite: resize }]],
  ['Pad', [{ since: 11, rewrite: padAmounts }]],
  ['Clip', [{ since: 11, rewrite: clipBounds }]],
  ['Scatter', [{ since: 11, rewrite: renamed('ScatterElements') }]],
  ['Dropout', [{ since: 12, rewrite: dropout }]],
  ['Squeeze', [{ since: 13, rewrite: intsToInputs('axes') }]],
  ['Unsqueeze', [{ since: 13, rewrite: intsToInputs('axes') }]],
  ['ReduceSum', [{ since: 13, rewrite: intsToInputs('axes') }]],
  ['Split', [{ since: 13, rewrite: intsToInputs('split') }]],
  ['Softmax', [{ since: 13, rewrite: softmax }]],
  ['LogSoftmax', [{ since: 13, rewrite: softmax }]],
  ['Hardmax', [{ since: 13, rewrite: softmax }]],
  ['BatchNormalization', [{ since: 9, rewrite: batchNorm }]],
  ['Scan', [{ since: 9, rewrite: refuse('Scan with a batch axis') }]],
]);
