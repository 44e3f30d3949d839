import type {
  GraphProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from '../../../model/onnx/generated/messages.ts';
import {
  floatAttribute,
  makeNode,
  mapBodies,
  opName,
  renameInputs,
  tensorAttribute,
  usedNames,
  withAttributes,
} from '../../../model/onnx/graph.ts';
import { DataType, floatTensor } from '../../../model/onnx/tensor.ts';
import { halfTensor } from './half.ts';
import { formName, formRead, keeper, lookUp } from './plan.ts';
import type { Fp16Plan, Frame, Precision } from './plan.ts';

/** Weights that did not fit into float16. */
export interface Clamped {
  readonly tensor: string;
  /** Finite values beyond 65504, kept as that. */
  readonly above: number;
  /** Values other than zero below 6e-8, kept as that. */
  readonly below: number;
}

const TYPE = { half: DataType.FLOAT16, float: DataType.FLOAT };

/** The graph as planned, and the weights that had to be clamped for it. */
export function applyFp16(
  graph: GraphProto,
  plan: Fp16Plan,
): { readonly graph: GraphProto; readonly clamped: readonly Clamped[] } {
  const clamped: Clamped[] = [];
  const rebuilt = new Rebuilder(plan, clamped).graph(graph);
  return { graph: rebuilt, clamped };
}

class Rebuilder {
  private readonly plan: Fp16Plan;
  private readonly clamped: Clamped[];

  constructor(plan: Fp16Plan, clamped: Clamped[]) {
    this.plan = plan;
    this.clamped = clamped;
  }

  /** A graph that was not planned (the body of a node that stays float) is left alone. */
  graph(graph: GraphProto): GraphProto {
    const frame = this.plan.frames.get(graph);
    if (frame === undefined) return graph;
    const retyped = (info: ValueInfoProto) => {
      const tensor = frame.own.get(info.name ?? '');
      return tensor === undefined ? info : withType(info, keeper(tensor));
    };
    const inputs = graph.input.flatMap(({ name }) => this.casts(frame, name ?? ''));
    return {
      ...graph,
      initializer: graph.initializer.flatMap((tensor) => this.initializer(tensor, frame)),
      node: [...inputs, ...graph.node.flatMap((node) => this.node(node, frame))],
      input: graph.input.map(retyped),
      output: graph.output.map((info) => bodyOutput(retyped(info), frame)),
      valueInfo: graph.valueInfo.map(retyped),
    };
  }

  /** The casts that give a tensor its other forms; they stand right behind its maker. */
  private casts({ own }: Frame, name: string): NodeProto[] {
    const tensor = own.get(name);
    if (tensor?.made === undefined) return [];
    const from = formName(tensor, tensor.made);
    return [...tensor.names].flatMap(([form, to]) => {
      if (form === tensor.made) return [];
      const attributes = { to: BigInt(TYPE[form]) };
      return [makeNode('Cast', [from], [to], { name: this.plan.fresh(`${to}_cast`), attributes })];
    });
  }

  private initializer(tensor: TensorProto, frame: Frame): TensorProto[] {
    const planned = frame.own.get(tensor.name ?? '');
    if (planned === undefined) return [tensor];
    return [...planned.names].map(([form, name]) =>
      form === 'half' ? this.half(tensor, name) : { ...tensor, name },
    );
  }

  private half(tensor: TensorProto, name: string): TensorProto {
    const { tensor: half, above, below } = halfTensor(tensor, name);
    if (above + below > 0) this.clamped.push({ tensor: tensor.name || name, above, below });
    return half;
  }

  private node(node: NodeProto, frame: Frame): NodeProto[] {
    const own = node.output.map((name) => frame.own.get(name));
    const [only] = own;
    if (only !== undefined && only.made === undefined) {
      return [...only.names].map(([form, name]) => this.copy(node, frame, form, name));
    }
    const output = node.output.map((name, at) => {
      const tensor = own[at];
      return tensor?.made === undefined ? name : formName(tensor, tensor.made);
    });
    const rebuilt = { ...this.reading(node, frame), output };
    const to = own[0]?.made === 'half' && opName(node) === 'Cast';
    return [
      to ? withAttributes(rebuilt, { to: BigInt(TYPE.half) }) : rebuilt,
      ...node.output.flatMap((name) => this.casts(frame, name)),
    ];
  }

  /** The node behind the forms of its inputs that it wants, its bodies rebuilt. */
  private reading(node: NodeProto, frame: Frame): NodeProto {
    const decision = this.plan.decisions.get(node)?.precision;
    if (decision === 'float') return renameInputs(node, floatNames(node, frame));
    const input = node.input.map((name, at) => {
      const tensor = lookUp(frame, name);
      return tensor === undefined ? name : formName(tensor, formRead(node, at, tensor, 'half'));
    });
    return mapBodies({ ...node, input }, (body) => this.graph(body));
  }

  /** A node that makes a constant, or casts from another type, in one of its forms. */
  private copy(node: NodeProto, frame: Frame, form: Precision, name: string): NodeProto {
    const label = name === node.output[0] ? node.name : name;
    const named = { ...this.reading(node, frame), output: [name], name: label };
    if (form === 'float') return named;
    if (opName(node) === 'Cast') return withAttributes(named, { to: BigInt(TYPE.half) });
    const value = this.half(constantValue(node), '');
    const others = { value_float: undefined, value_floats: undefined };
    return withAttributes(named, { ...others, value });
  }
}

function floatNames(node: NodeProto, frame: Frame): ReadonlyMap<string, string> {
  return new Map(
    usedNames(node).flatMap((name) => {
      const tensor = lookUp(frame, name);
      return tensor === undefined ? [] : [[name, formName(tensor, 'float')] as const];
    }),
  );
}

function withType(info: ValueInfoProto, form: Precision): ValueInfoProto {
  const { type } = info;
  if (type?.tensorType === undefined) return info;
  return { ...info, type: { ...type, tensorType: { ...type.tensorType, elemType: TYPE[form] } } };
}

/** Outputs of a body have no name outside, so one that is taken from outside can be renamed. */
function bodyOutput(info: ValueInfoProto, frame: Frame): ValueInfoProto {
  const name = info.name ?? '';
  if (frame.outer === undefined || frame.own.has(name)) return info;
  const tensor = lookUp(frame.outer, name);
  if (tensor === undefined) return info;
  return { ...withType(info, 'half'), name: formName(tensor, 'half') };
}

/** The value of a Constant, or the one that a ConstantOfShape repeats. */
function constantValue(node: NodeProto): TensorProto {
  const value = tensorAttribute(node, 'value');
  if (value !== undefined) return value;
  const list = node.attribute.find(({ name }) => name === 'value_floats')?.floats;
  if (list !== undefined) return floatTensor('', list);
  if (opName(node) === 'ConstantOfShape') return floatTensor('', [0]);
  return floatTensor('', floatAttribute(node, 'value_float') ?? 0);
}
