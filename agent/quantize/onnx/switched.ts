import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import {
  indexGraph,
  nameMaker,
  namelessNode,
  nodeLabel,
  renameInputs,
} from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { DataType, floatData, makeTensor } from '../../model/onnx/tensor.ts';
import { affineParams } from '../arithmetic.ts';
import type { QuantParams } from '../arithmetic.ts';
import type { NoiseSource } from './noise-sources.ts';
import { isWeighted } from './op-table.ts';
import { QdqParts } from './qdq-parts.ts';
import { activationType } from './static-plan.ts';
import type { IntegerUnit, StaticPlan } from './static-plan.ts';
import { integerWeights } from '../weights.ts';
import { weightLayout } from './weight-layout.ts';

export interface Switched {
  readonly graph: GraphProto;
  /** Name of the additional input: bool, one value per source; true rounds it. */
  readonly input: string;
}

/**
 * The float graph with a switch at every source of noise: one model, loaded once, shows what each of
 * them does to the outputs, alone or in any company. The rounding is that of the plan, simulated in
 * float (QuantizeLinear and DequantizeLinear, or weights rounded beforehand).
 */
export function addSwitches(
  graph: GraphProto,
  plan: StaticPlan,
  sources: readonly NoiseSource[],
  scheme: Scheme,
): Switched {
  return new SwitchWriter(graph, plan, scheme).write(sources);
}

class SwitchWriter {
  private readonly graph: GraphProto;
  private readonly plan: StaticPlan;
  private readonly scheme: Scheme;
  private readonly index: GraphIndex;
  private readonly unique: (wish: string) => string;
  private readonly parts: QdqParts;
  private readonly input: string;
  private readonly units = new Map<string, IntegerUnit>();
  /** Switches in front of a node, and behind it. */
  private readonly before = new Map<NodeProto, NodeProto[]>();
  private readonly behind = new Map<NodeProto, NodeProto[]>();
  /** New names of what single nodes read, and of what they make. */
  private readonly reads = new Map<NodeProto, Map<string, string>>();
  private readonly makes = new Map<string, string>();
  private readonly first: NodeProto[] = [];

  constructor(graph: GraphProto, plan: StaticPlan, scheme: Scheme) {
    this.graph = graph;
    this.plan = plan;
    this.scheme = scheme;
    this.index = indexGraph(graph);
    this.unique = nameMaker(graph);
    this.parts = new QdqParts(this.unique);
    this.input = this.unique('switches');
    for (const unit of plan.units.values()) this.units.set(nodeLabel(unit.node), unit);
  }

  write(sources: readonly NoiseSource[]): Switched {
    sources.forEach((source, number) => {
      if (source.kind === 'activation') this.activation(source, number);
      else this.constants(source, number);
    });
    const node = [...this.first, ...this.graph.node.flatMap((one) => this.rewritten(one))];
    const initializer = [...this.graph.initializer, ...this.parts.initializers];
    const shape = { dim: [{ dimValue: sources.length }] };
    const type = { tensorType: { elemType: DataType.BOOL, shape } };
    const input = [...this.graph.input, { name: this.input, type }];
    return { graph: { ...this.graph, node, initializer, input }, input: this.input };
  }

  private rewritten(node: NodeProto): readonly NodeProto[] {
    const output = node.output.map((name) => this.makes.get(name) ?? name);
    const read = renameInputs(node, this.reads.get(node) ?? new Map());
    const around = [this.before.get(node) ?? [], this.behind.get(node) ?? []] as const;
    return [...around[0], { ...read, output }, ...around[1]];
  }

  /** At the maker, for all readers; or, where a float node makes it, for integer readers only. */
  private activation({ name }: NoiseSource, number: number): void {
    const params = this.plan.tensors.get(name);
    if (params === undefined) return;
    const maker = this.index.producer.get(name);
    if (maker !== undefined && this.isIntegerMade(name)) {
      const raw = this.unique(`${name}_raw`);
      this.makes.set(name, raw);
      append(this.behind, maker, this.switched(number, raw, name, this.rounded(params, raw)));
      return;
    }
    const copy = this.unique(`${name}_switched`);
    const nodes = this.switched(number, name, copy, this.rounded(params, name));
    if (maker === undefined) this.first.push(...nodes);
    else append(this.behind, maker, nodes);
    for (const unit of this.plan.units.values()) {
      if (unit.inputs.includes(name)) this.reread(unit.node, name, copy);
    }
  }

  private isIntegerMade(name: string): boolean {
    const units = [...this.plan.units.values()];
    return units.some((unit) => unit.quantizedOutput && unit.outputs.includes(name));
  }

  private constants({ name }: NoiseSource, number: number): void {
    const unit = this.units.get(name);
    if (unit === undefined) return;
    const { node, rule } = unit;
    const names = isWeighted(rule) ? [node.input[1] ?? ''] : unit.constants;
    for (const from of names) {
      const tensor = this.index.initializers.get(from);
      if (tensor === undefined) continue;
      const to = this.unique(`${from}_switched`);
      const rounded = isWeighted(rule)
        ? this.roundedWeights(unit, tensor)
        : this.rounded(constantParams(tensor, this.scheme), from);
      append(this.before, node, this.switched(number, from, to, rounded));
      this.reread(node, from, to);
    }
  }

  private reread(node: NodeProto, from: string, to: string): void {
    const renames = this.reads.get(node) ?? new Map<string, string>();
    this.reads.set(node, renames.set(from, to));
  }

  /** Nodes that make the rounded value of `from`, the last one under a name of its own. */
  private rounded(params: QuantParams, from: string): readonly NodeProto[] {
    this.parts.roundTrip(from, this.unique('rounded'), params);
    return this.parts.nodes.splice(0);
  }

  private roundedWeights({ node }: IntegerUnit, weight: TensorProto): readonly NodeProto[] {
    const layout = weightLayout(node, weight.dims);
    const { perChannel, reduceRange } = this.scheme;
    const values = floatData(weight);
    const made = integerWeights({ values, layout, inputScale: 1, perChannel, reduceRange });
    const inner = weight.dims.slice(layout.axis + 1).reduce((a, b) => a * b, 1);
    const channels = weight.dims[layout.axis] ?? 1;
    const scaleOf = (at: number) =>
      made.scales[made.scales.length === 1 ? 0 : Math.floor(at / inner) % channels] ?? 1;
    const rounded = Float32Array.from(made.weights, (value, at) => value * scaleOf(at));
    const name = this.unique('rounded_weights');
    this.parts.initializers.push(makeTensor(name, DataType.FLOAT, weight.dims, rounded));
    return [namelessNode('Identity', [name], [this.unique('rounded')])];
  }

  private switched(
    number: number,
    from: string,
    to: string,
    rounded: readonly NodeProto[],
  ): readonly NodeProto[] {
    const which = this.unique('which');
    const index = makeTensor(which, DataType.INT64, [], BigInt64Array.of(BigInt(number)));
    this.parts.initializers.push(index);
    const condition = this.unique('condition');
    const same = namelessNode('Identity', [from], [this.unique('same')]);
    const branches = { then_branch: branch(rounded), else_branch: branch([same]) };
    return [
      namelessNode('Gather', [this.input, which], [condition]),
      namelessNode('If', [condition], [to], branches),
    ];
  }
}

function branch(node: readonly NodeProto[]): GraphProto {
  const name = node.at(-1)?.output[0] ?? '';
  const type = { tensorType: { elemType: DataType.FLOAT } };
  return {
    name: `branch_${name}`,
    node,
    output: [{ name, type }],
    initializer: [],
    input: [],
    valueInfo: [],
    quantizationAnnotation: [],
    sparseInitializer: [],
  };
}

function append<K, V>(lists: Map<K, V[]>, key: K, values: readonly V[]): void {
  lists.set(key, [...(lists.get(key) ?? []), ...values]);
}

/** As `QdqWriter` stores a constant operand: per tensor, in the type of the activations. */
function constantParams(tensor: TensorProto, scheme: Scheme): QuantParams {
  const values = floatData(tensor);
  const ends = values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)] as [number, number],
    [0, 0] as [number, number],
  );
  return affineParams(ends[0], ends[1], activationType(scheme));
}
