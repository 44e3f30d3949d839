import type { GraphProto, NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { nameMaker, opName, subgraphsOf, usedNames } from '../../../model/onnx/graph.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { DataType } from '../../../model/onnx/tensor.ts';
import { inferTypes } from '../../../model/onnx/types.ts';
import type { TypeMap } from '../../../model/onnx/types.ts';
import {
  isAnyInput,
  isBatchTranspose,
  isCounted,
  isFloatInput,
  isFloatOutput,
  whyFloat,
} from './policy.ts';
import type { Blocked } from './policy.ts';

/**
 * Decides what becomes float16: first each node, then, from what nodes make and want, the forms in
 * which each tensor is kept.
 */

export type Precision = 'half' | 'float';

/** A float32 tensor of the model, in the graph that makes it. */
export interface Tensor {
  readonly name: string;
  /** The precision it is made in; undefined where it can be made in both (constants). */
  readonly made: Precision | undefined;
  readonly wanted: Set<Precision>;
  /** What the graph's own output of this name must be. */
  output: Precision | undefined;
  readonly names: Map<Precision, string>;
}

/** The tensors of one graph; undefined stands for those that are not float32. */
export interface Frame {
  readonly own: Map<string, Tensor | undefined>;
  readonly outer: Frame | undefined;
  /** What a MatMul of the graph reads. */
  readonly multiplied: ReadonlySet<string>;
}

export interface Decision {
  /** `none`: the node touches no float32 tensor. */
  readonly precision: Precision | 'none';
  readonly reason?: string;
}

export interface Fp16Plan {
  readonly frames: ReadonlyMap<GraphProto, Frame>;
  readonly decisions: ReadonlyMap<NodeProto, Decision>;
  /** Makes names that nothing in the model has yet. */
  readonly fresh: (wish: string) => string;
}

const BODIES = new Set(['If', 'Loop', 'Scan']);
const MAKES_CONSTANTS = new Set(['Constant', 'ConstantOfShape']);

export function lookUp(frame: Frame | undefined, name: string): Tensor | undefined {
  for (let at = frame; at !== undefined; at = at.outer) {
    if (at.own.has(name)) return at.own.get(name);
  }
  return undefined;
}

/** The names under which a tensor's forms are known once the plan is made. */
export function formName(tensor: Tensor, precision: Precision): string {
  return tensor.names.get(precision) ?? tensor.name;
}

/** The form that keeps the tensor's name. */
export function keeper(tensor: Tensor): Precision {
  return tensor.output ?? tensor.made ?? (tensor.wanted.has('float') ? 'float' : 'half');
}

/** Which form of an input a node reads that computes in `precision`. */
export function formRead(
  node: NodeProto,
  at: number,
  tensor: Tensor,
  precision: Precision,
): Precision {
  if (isAnyInput(node, at)) return keeper(tensor);
  return isFloatInput(node, at) ? 'float' : precision;
}

export function planFp16(model: OnnxModel, keepIo: boolean, blocked: Blocked): Fp16Plan {
  const planner = new Planner(inferTypes(model), blocked, nameMaker(model.graph));
  planner.graph(model.graph, undefined, keepIo ? 'float' : 'half');
  planner.nameForms();
  return planner;
}

class Planner implements Fp16Plan {
  readonly frames = new Map<GraphProto, Frame>();
  readonly decisions = new Map<NodeProto, Decision>();
  readonly fresh: (wish: string) => string;
  private readonly constants = new Map<Tensor, TensorProto>();
  private readonly types: TypeMap;
  private readonly blocked: Blocked;

  constructor(types: TypeMap, blocked: Blocked, fresh: (wish: string) => string) {
    this.types = types;
    this.blocked = blocked;
    this.fresh = fresh;
  }

  /** `edge` is the precision of the graph's float inputs and outputs. */
  graph(graph: GraphProto, outer: Frame | undefined, edge: Precision): void {
    const matMuls = graph.node.filter((node) => opName(node) === 'MatMul');
    const multiplied = new Set(matMuls.flatMap(({ input }) => input));
    const frame: Frame = { own: new Map(), outer, multiplied };
    this.frames.set(graph, frame);
    const typeOf = this.types.inside(graph);
    const add = (name: string, made: Precision | undefined) => {
      const isFloat = typeOf(name) === DataType.FLOAT;
      const tensor: Tensor = { name, made, wanted: new Set(), output: undefined, names: new Map() };
      frame.own.set(name, isFloat ? tensor : undefined);
      return isFloat ? tensor : undefined;
    };
    for (const { name } of graph.input) add(name ?? '', edge);
    for (const initializer of graph.initializer) {
      const tensor = add(initializer.name ?? '', undefined);
      if (tensor !== undefined) this.constants.set(tensor, initializer);
    }
    for (const node of graph.node) this.node(node, frame, typeOf, add);
    for (const { name } of graph.output) this.output(name ?? '', frame, typeOf, edge);
  }

  nameForms(): void {
    for (const { own } of this.frames.values()) {
      for (const tensor of own.values()) {
        if (tensor === undefined) continue;
        if (tensor.output !== undefined) tensor.wanted.add(tensor.output);
        const kept = keeper(tensor);
        const forms = new Set([...tensor.wanted, kept, ...(tensor.made ? [tensor.made] : [])]);
        for (const form of forms) {
          const wish = `${tensor.name}_${form === 'half' ? 'fp16' : 'fp32'}`;
          tensor.names.set(form, form === kept ? tensor.name : this.fresh(wish));
        }
      }
    }
  }

  private node(
    node: NodeProto,
    frame: Frame,
    typeOf: (name: string) => number | undefined,
    add: (name: string, made: Precision | undefined) => Tensor | undefined,
  ): void {
    const decision = this.decide(node, frame, typeOf);
    this.decisions.set(node, decision);
    const precision = decision.precision === 'float' ? 'float' : 'half';
    for (const [at, name] of node.input.entries()) {
      const tensor = lookUp(frame, name);
      if (tensor === undefined || isAnyInput(node, at)) continue;
      tensor.wanted.add(formRead(node, at, tensor, precision));
    }
    if (BODIES.has(opName(node)) && precision === 'half') {
      for (const body of subgraphsOf(node)) this.graph(body, frame, 'half');
    } else {
      // Bodies stay as they are, and so must what they read.
      for (const name of usedNames(node).slice(node.input.filter((one) => one !== '').length)) {
        lookUp(frame, name)?.wanted.add('float');
      }
    }
    const copies = MAKES_CONSTANTS.has(opName(node)) || isCastFromElsewhere(node, frame);
    for (const [at, name] of node.output.entries()) {
      if (name === '') continue;
      const made = isFloatOutput(node, at) ? 'float' : precision;
      const tensor = add(name, copies ? undefined : made);
      const value = node.attribute.find((one) => one.name === 'value')?.t;
      if (tensor !== undefined && value !== undefined) this.constants.set(tensor, value);
    }
  }

  private output(
    name: string,
    frame: Frame,
    typeOf: (name: string) => number | undefined,
    edge: Precision,
  ): void {
    if (typeOf(name) !== DataType.FLOAT) return;
    const own = frame.own.get(name);
    if (own === undefined) lookUp(frame.outer, name)?.wanted.add(edge);
    else own.output = edge;
  }

  private decide(
    node: NodeProto,
    frame: Frame,
    typeOf: (name: string) => number | undefined,
  ): Decision {
    const hasBody = subgraphsOf(node).length > 0;
    const used = [...node.input, ...node.output].filter((name) => name !== '');
    const touches = used.some((name) => typeOf(name) === DataType.FLOAT);
    if (!touches && !hasBody) return { precision: 'none' };
    if (used.some((name) => typeOf(name) === undefined)) {
      return { precision: 'float', reason: 'a tensor of unknown type' };
    }
    if (isBatchTranspose(node) && node.output.some((name) => frame.multiplied.has(name))) {
      return { precision: 'float', reason: 'onnxruntime fails on it before a float16 MatMul' };
    }
    const constants = node.input.flatMap((name) => {
      const tensor = lookUp(frame, name);
      return (tensor && this.constants.get(tensor)) ?? [];
    });
    const reason = isCounted(node) ? whyFloat(node, constants, this.blocked) : undefined;
    return reason === undefined ? { precision: 'half' } : { precision: 'float', reason };
  }
}

/** A Cast from another type than float32 is made anew for each form: nothing is rounded twice. */
function isCastFromElsewhere(node: NodeProto, frame: Frame): boolean {
  return opName(node) === 'Cast' && lookUp(frame, node.input[0] ?? '') === undefined;
}
