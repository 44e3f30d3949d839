import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import {
  allNodes,
  indexGraph,
  makeNode,
  nameMaker,
  nodeLabel,
  opName,
} from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { dropUnused } from '../../model/onnx/edit.ts';
import { withGraph } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { DataType, floatTensor, makeTensor, tensorData } from '../../model/onnx/tensor.ts';
import type { Statistics } from '../../model/statistics.ts';
import { affineParams } from '../arithmetic.ts';
import type { QuantParams, QuantType } from '../arithmetic.ts';
import { QuantizeError } from '../errors.ts';
import type { OpReport, Quantized } from '../report.ts';
import { activationType, planStatic } from './static-plan.ts';
import type { IntegerUnit, StaticPlan } from './static-plan.ts';
import { isQuantized } from './recognize.ts';
import { integerWeights, weightLayout } from './weights.ts';

const TENSOR_TYPE: Readonly<Record<QuantType, number>> = {
  u8: DataType.UINT8,
  s8: DataType.INT8,
  s16: DataType.INT16,
};

/**
 * Static INT8 in QDQ form: QuantizeLinear and DequantizeLinear around every op that onnxruntime
 * then runs in an integer kernel, int8 weights (per output channel), int32 biases.
 * @param model prepared (see prepare/): opset 13 or later, constants are initializers,
 *   BatchNormalization is folded
 * @throws QuantizeError when the model is quantized already or nothing in it can be
 */
export function quantizeStatic(
  model: OnnxModel,
  statistics: Statistics,
  scheme: Scheme,
): Quantized<OnnxModel> {
  if (isQuantized(model)) {
    throw new QuantizeError('ALREADY_QUANTIZED', 'the model is quantized already');
  }
  const plan = planStatic(model.graph, model.opset, statistics, scheme);
  const weighted = [...plan.units.values()].filter(({ rule }) => isWeighted(rule.role));
  if (weighted.length === 0) {
    throw new QuantizeError(
      'NOTHING_TO_QUANTIZE',
      `nothing of this model can run in static INT8: ${nothingMessage(model.graph, plan)}`,
    );
  }
  const graph = new QdqWriter(model.graph, plan, statistics, scheme).write();
  return { model: withGraph(model, dropUnused(graph)), ops: reportOps(model.graph, plan) };
}

const HEAVY = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

const isWeighted = (role: string) => role === 'conv' || role === 'gemm' || role === 'matmul';

function nothingMessage(graph: GraphProto, { reasons }: StaticPlan): string {
  const heavy = [...allNodes(graph)].filter((node) => HEAVY.has(opName(node)));
  if (heavy.length === 0) return 'it has no convolution and no matrix product';
  const main = heavy.find((node) => reasons.has(node));
  if (main === undefined) {
    const message = 'all its convolutions and matrix products are inside control-flow bodies';
    return `${message}, which cannot be calibrated: try --to int8-dynamic`;
  }
  return `${opName(main)} '${nodeLabel(main)}': ${reasons.get(main) ?? ''}`;
}

function reportOps(graph: GraphProto, plan: StaticPlan): OpReport[] {
  const absorbed = new Set([...plan.units.values()].map((unit) => unit.absorbed));
  const main = new Set(graph.node);
  return [...allNodes(graph)].map((node) => {
    const row = { node: nodeLabel(node), op: opName(node) };
    if (plan.units.has(node) || absorbed.has(node)) return { ...row, precision: 'integer' };
    const inBody = 'inside a control-flow body, which is not calibrated';
    const reason = main.has(node) ? (plan.reasons.get(node) ?? 'left as it is') : inBody;
    return { ...row, precision: 'float', reason };
  });
}

/**
 * Rewrites one graph by a plan. Tensors keep their names. What is added gets short names (`s12`) and
 * shares its zero points: in small models, names weigh as much as weights.
 */
class QdqWriter {
  private readonly index: GraphIndex;
  private readonly unique: (wish: string) => string;
  private readonly initializers: TensorProto[] = [];
  private readonly nodes: NodeProto[] = [];
  /** Float tensor made outside integer units -> its dequantized copy for integer units. */
  private readonly copies = new Map<string, string>();
  private readonly graph: GraphProto;
  private readonly plan: StaticPlan;
  private readonly scheme: Scheme;
  private readonly statistics: Statistics;
  private readonly integerMade = new Set<string>();
  private readonly absorbed = new Set<NodeProto>();
  private readonly zeroPoints = new Map<string, string>();
  private count = 0;

  constructor(graph: GraphProto, plan: StaticPlan, statistics: Statistics, scheme: Scheme) {
    this.graph = graph;
    this.statistics = statistics;
    this.plan = plan;
    this.scheme = scheme;
    this.index = indexGraph(graph);
    this.unique = nameMaker(graph);
    for (const unit of plan.units.values()) {
      if (unit.absorbed !== undefined) this.absorbed.add(unit.absorbed);
      if (unit.quantizedOutput) for (const name of unit.outputs) this.integerMade.add(name);
    }
  }

  write(): GraphProto {
    for (const node of this.graph.node) {
      if (this.absorbed.has(node)) continue;
      const unit = this.plan.units.get(node);
      if (unit === undefined) this.nodes.push(node);
      else this.writeUnit(unit);
    }
    return {
      ...this.graph,
      node: this.nodes,
      initializer: [...this.graph.initializer, ...this.initializers],
    };
  }

  private writeUnit(unit: IntegerUnit): void {
    const { node } = unit;
    const renamed = new Map<string, string>();
    for (const name of unit.inputs) renamed.set(name, this.dequantizedInput(name));
    for (const name of unit.constants) renamed.set(name, this.constant(name));
    const input = node.input.map((name) => renamed.get(name) ?? name);
    if (isWeighted(unit.rule.role)) this.weights(unit, input);
    if (!unit.quantizedOutput) {
      this.nodes.push({ ...node, input });
      return;
    }
    const raw = unit.outputs.map(() => this.short('r'));
    this.nodes.push({ ...node, input, output: raw });
    unit.outputs.forEach((name, i) => this.quantizeDequantize(raw[i] ?? '', name, name));
  }

  /** The name under which an integer unit reads an activation. */
  private dequantizedInput(name: string): string {
    if (this.integerMade.has(name)) return name;
    const known = this.copies.get(name);
    if (known !== undefined) return known;
    const copy = this.short('d');
    this.copies.set(name, copy);
    this.quantizeDequantize(name, copy, name);
    return copy;
  }

  /** from -> QuantizeLinear -> DequantizeLinear -> to, at the scale of `tensor`. */
  private quantizeDequantize(from: string, to: string, tensor: string): void {
    const params = this.plan.tensors.get(tensor);
    if (params === undefined) throw new Error(`no parameters for ${tensor}`);
    const [scale, zeroPoint] = this.addParams(params);
    const quantized = this.short('q');
    this.add('QuantizeLinear', [from, scale, zeroPoint], quantized);
    this.add('DequantizeLinear', [quantized, scale, zeroPoint], to);
  }

  private addParams({ type, scale, zeroPoint }: QuantParams): [string, string] {
    const name = this.short('s');
    this.initializers.push(floatTensor(name, scale));
    return [name, this.zeroPoint(TENSOR_TYPE[type], zeroTensor(type, zeroPoint), [])];
  }

  /** One initializer for all zero points that are alike. */
  private zeroPoint(dataType: number, data: ArrayBufferView, dims: readonly number[]): string {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    const key = `${dataType} ${dims.join()} ${bytes}`;
    const known = this.zeroPoints.get(key);
    if (known !== undefined) return known;
    const name = this.short('z');
    this.zeroPoints.set(key, name);
    this.initializers.push(makeTensor(name, dataType, dims, data));
    return name;
  }

  private short(prefix: string): string {
    return this.unique(`${prefix}${this.count++}`);
  }

  /** A constant operand of Add, Mul or Concat, per tensor in the type of the activations. */
  private constant(name: string): string {
    const known = this.copies.get(name);
    if (known !== undefined) return known;
    const tensor = this.index.initializers.get(name);
    const values = tensor === undefined ? new Float32Array(0) : floatsOf(tensor);
    const copy = this.short('d');
    this.copies.set(name, copy);
    const [min, max] = extremes(values);
    const params = affineParams(min, max, activationType(this.scheme));
    const [scale, zeroPoint] = this.addParams(params);
    // Stored in float and quantized by a node, which the runtime folds when it loads the model.
    const quantized = this.short('q');
    this.add('QuantizeLinear', [name, scale, zeroPoint], quantized);
    this.add('DequantizeLinear', [quantized, scale, zeroPoint], copy);
    return copy;
  }

  /** Replaces weights and bias in `input` by int8 and int32 initializers behind DequantizeLinear. */
  private weights(unit: IntegerUnit, input: string[]): void {
    const { node } = unit;
    const weight = this.index.initializers.get(node.input[1] ?? '');
    const bias = this.index.initializers.get(node.input[2] ?? '');
    if (weight === undefined) throw new Error(`no weights for ${nodeLabel(node)}`);
    const layout = weightLayout(node, weight.dims);
    const [x = ''] = unit.inputs;
    const made = integerWeights({
      values: floatsOf(weight),
      layout,
      inputScale: this.plan.tensors.get(x)?.scale ?? 1,
      perChannel: this.scheme.perChannel,
      reduceRange: this.scheme.reduceRange,
      bias: bias === undefined ? undefined : perOutput(floatsOf(bias), weight.dims[layout.axis]),
      // A product without a bias input has nowhere to put a correction.
      inputMean:
        unit.rule.role === 'matmul' ? undefined : this.statistics.tensors.get(x)?.channelMean,
    });
    const axis = this.scheme.perChannel ? layout.axis : undefined;
    const tensor = makeTensor(this.short('w'), DataType.INT8, weight.dims, made.weights);
    input[1] = this.dequantizedConstant(tensor, made.scales, axis);
    if (made.bias === undefined) return;
    const dims = [made.bias.length];
    const biasTensor = makeTensor(this.short('b'), DataType.INT32, dims, made.bias);
    input[2] = this.dequantizedConstant(biasTensor, made.biasScales, axis === undefined ? axis : 0);
  }

  private dequantizedConstant(
    tensor: TensorProto,
    scales: Float32Array,
    axis: number | undefined,
  ): string {
    const vector = axis !== undefined;
    const scale = floatTensor(this.short('s'), vector ? scales : (scales[0] ?? 1));
    this.initializers.push(tensor, scale);
    const names = [tensor.name ?? '', scale.name ?? ''];
    // An int32 bias may go without: its zero point is 0 by definition, and no kernel reads it.
    if (tensor.dataType === DataType.INT8) {
      const dims = vector ? [scales.length] : [];
      names.push(this.zeroPoint(DataType.INT8, new Int8Array(scales.length), dims));
    }
    const output = this.short('d');
    this.add('DequantizeLinear', names, output, axis);
    return output;
  }

  private add(op: string, input: readonly string[], output: string, axis?: number): void {
    const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
    this.nodes.push({ ...makeNode(op, input, [output], { attributes }), name: undefined });
  }
}

function zeroTensor(type: QuantType, value: number): ArrayBufferView {
  if (type === 'u8') return Uint8Array.of(value);
  return type === 's8' ? Int8Array.of(value) : Int16Array.of(value);
}

function floatsOf(tensor: TensorProto): Float32Array {
  const data = tensorData(tensor);
  return data instanceof Float32Array ? data : new Float32Array(0);
}

/** Gemm takes one bias for all outputs, too. */
function perOutput(bias: Float32Array, outputs = 1): Float32Array {
  return bias.length === outputs ? bias : new Float32Array(outputs).fill(bias[0] ?? 0);
}

function extremes(values: Float32Array): [number, number] {
  let min = 0;
  let max = 0;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return [min, max];
}
