import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import {
  indexGraph,
  intAttribute,
  nameMaker,
  nodeLabel,
  opName,
  withAttributes,
} from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { DataType, floatData } from '../../model/onnx/tensor.ts';
import { layerKey } from '../../model/statistics.ts';
import type { Statistics } from '../../model/statistics.ts';
import { affineParams } from '../arithmetic.ts';
import { integerWeights } from '../weights.ts';
import type { IntegerWeights, WeightLayout } from '../weights.ts';
import type { BiasSite } from './bias-sites.ts';
import { ruleFor } from './excluded.ts';
import type { QuantParams } from '../arithmetic.ts';
import type { ConvAxis, ConvShape } from './conv-shape.ts';
import { foldWeights, foldedDims, foldedShape, repeated } from './fold-pixels.ts';
import type { PixelFold } from './fold-pixels.ts';
import { isWeighted } from './op-table.ts';
import { padIntegers } from './pad-channels.ts';
import { QdqParts } from './qdq-parts.ts';
import { activationType } from './static-plan.ts';
import type { IntegerUnit, StaticPlan } from './static-plan.ts';
import { weightLayout } from './weight-layout.ts';

/** Rewrites one graph by a plan. Tensors keep their names. */
export class QdqWriter {
  /** Units whose bias can be corrected later. */
  readonly biases: BiasSite[] = [];
  private readonly index: GraphIndex;
  private readonly parts: QdqParts;
  /** Float tensor made outside integer units -> its dequantized copy for integer units. */
  private readonly copies = new Map<string, string>();
  private readonly graph: GraphProto;
  private readonly plan: StaticPlan;
  private readonly scheme: Scheme;
  private readonly statistics: Statistics;
  private readonly integerMade = new Set<string>();
  /** Float tensor -> its bytes, where something was quantized. */
  private readonly bytes = new Map<string, string>();
  private readonly absorbed = new Set<NodeProto>();
  /** Tensors with more channels than the float model's. */
  private readonly reshaped = new Set<string>();
  /** By float tensor: units that share weights share their integers where the scales agree. */
  private readonly written = new Map<string, { made: IntegerWeights; name: string }[]>();

  /** @param unique makes names that no graph of the model has */
  constructor(
    graph: GraphProto,
    plan: StaticPlan,
    statistics: Statistics,
    scheme: Scheme,
    unique: (wish: string) => string = nameMaker(graph),
  ) {
    this.graph = graph;
    this.statistics = statistics;
    this.plan = plan;
    this.scheme = scheme;
    this.index = indexGraph(graph);
    this.parts = new QdqParts(unique);
    for (const padded of plan.pads.keys()) {
      const { outputs = [] } = plan.units.get(padded) ?? {};
      for (const name of [...padded.output, ...outputs]) this.reshaped.add(name);
    }
    for (const unit of plan.units.values()) {
      if (unit.absorbed !== undefined) this.absorbed.add(unit.absorbed);
      if (unit.quantizedOutput) for (const name of unit.outputs) this.integerMade.add(name);
    }
  }

  write(): GraphProto {
    const { nodes, initializers } = this.parts;
    for (const node of this.graph.node) {
      if (this.absorbed.has(node)) continue;
      const unit = this.plan.units.get(node);
      if (unit === undefined) nodes.push(this.shielded(node));
      else this.writeUnit(unit);
    }
    return {
      ...this.graph,
      valueInfo: this.graph.valueInfo.filter(({ name }) => !this.reshaped.has(name ?? '')),
      node: nodes,
      initializer: [...this.graph.initializer, ...initializers],
    };
  }

  /** A Sum of one is a copy that no optimizer removes: the float node is out of a fusion's sight. */
  private shielded(node: NodeProto): NodeProto {
    const tensor = this.plan.shields.get(node);
    if (tensor === undefined) return node;
    const copy = this.parts.short('f');
    this.parts.add('Sum', [tensor], copy);
    const input = node.input.map((name) => (name === tensor ? copy : name));
    return { ...node, input };
  }

  private writeUnit(unit: IntegerUnit): void {
    if (unit.rule.role === 'relabel') return this.relabel(unit);
    const fold = this.plan.folds.get(unit.node);
    const renamed = new Map<string, string>();
    for (const name of unit.inputs) renamed.set(name, this.input(name, fold));
    for (const name of unit.constants) renamed.set(name, this.constant(name));
    const node = foldedNode(this.grouped(withoutDilations(unit.node)), fold);
    const input = node.input.map((name) => renamed.get(name) ?? name);
    if (isWeighted(unit.rule)) this.weights(unit, input, fold);
    const raw = unit.quantizedOutput
      ? unit.outputs.map(() => this.parts.short('r'))
      : unit.node.output;
    if (isWeighted(unit.rule)) this.noteBias(unit, input, { made: raw[0] ?? '', fold });
    if (!unit.quantizedOutput) {
      this.parts.nodes.push({ ...node, input });
      return;
    }
    this.parts.nodes.push({ ...node, input, output: raw });
    const unfold = fold && ((bytes: string) => this.parts.reshapedPixels(bytes, outputSizes(fold)));
    unit.outputs.forEach((name, i) => this.roundTrip(raw[i] ?? '', name, name, unfold));
  }

  /** A depthwise convolution with as many groups as it has channels now. */
  private grouped(node: NodeProto): NodeProto {
    const pad = this.plan.pads.get(node);
    if (pad === undefined || (intAttribute(node, 'group') ?? 1) === 1) return node;
    return withAttributes(node, { group: BigInt(pad.outputs) });
  }

  /** The same bytes under another scale. */
  private relabel({ inputs: [x = ''], outputs: [y = ''] }: IntegerUnit): void {
    // Where no op may be in float, it is planned behind one, too, or reads the model's own input.
    if (!this.bytes.has(x)) this.dequantizedInput(x);
    const bytes = this.bytes.get(x);
    if (bytes === undefined) throw new Error(`no bytes for '${x}'`);
    this.bytes.set(y, bytes);
    this.parts.dequantizedBytes(bytes, this.paramsOf(y), y);
  }

  private input(name: string, fold: PixelFold | undefined): string {
    const plain = this.dequantizedInput(name);
    const bytes = this.bytes.get(name);
    if (fold === undefined || bytes === undefined) return plain;
    const folded = this.parts.reshapedPixels(bytes, inputSizes(fold));
    return this.parts.dequantizedBytes(folded, this.paramsOf(name));
  }

  private noteBias(
    { node }: IntegerUnit,
    input: readonly string[],
    { made, fold }: { readonly made: string; readonly fold: PixelFold | undefined },
  ): void {
    const [bias = '', [float = '']] = [input[2], node.output];
    if (bias === '' || bias === node.input[2]) return;
    this.biases.push({ raw: made, float, bias, copies: fold?.outputs ?? 1 });
  }

  /** The name under which an integer unit reads an activation. */
  private dequantizedInput(name: string): string {
    if (this.integerMade.has(name)) return name;
    const known = this.copies.get(name);
    if (known !== undefined) return known;
    const copy = this.parts.short('d');
    this.copies.set(name, copy);
    this.roundTrip(name, copy, name);
    return copy;
  }

  private roundTrip(
    from: string,
    to: string,
    tensor: string,
    between?: (bytes: string) => string,
  ): void {
    this.bytes.set(tensor, this.parts.roundTrip(from, to, this.paramsOf(tensor), between));
  }

  private paramsOf(tensor: string): QuantParams {
    const params = this.plan.tensors.get(tensor);
    if (params === undefined) throw new Error(`no parameters for ${tensor}`);
    return params;
  }

  /** A constant operand of Add, Mul or Concat, per tensor in the type of the activations. */
  private constant(name: string): string {
    const known = this.copies.get(name);
    if (known !== undefined) return known;
    const copy = this.parts.short('d');
    this.copies.set(name, copy);
    const tensor = this.index.initializers.get(name);
    if (tensor === undefined) throw new Error(`'${name}' is no constant`);
    const [min, max] = extremes(floatData(tensor));
    // Stored in float and quantized by a node, which the runtime folds when it loads the model.
    this.parts.roundTrip(name, copy, affineParams(min, max, activationType(this.scheme)));
    return copy;
  }

  /** Replaces weights and bias in `input` by int8 and int32 initializers behind DequantizeLinear. */
  private weights(unit: IntegerUnit, input: string[], fold: PixelFold | undefined): void {
    const weight = this.index.initializers.get(unit.node.input[1] ?? '');
    if (weight === undefined) throw new Error(`no weights for ${nodeLabel(unit.node)}`);
    const layout = weightLayout(unit.node, weight.dims);
    const bias = this.index.initializers.get(unit.node.input[2] ?? '');
    const perChannel = ruleFor(this.scheme, unit.node).perChannel ?? this.scheme.perChannel;
    const plain = this.integers(unit, { weight, bias, layout, perChannel });
    const pad = this.plan.pads.get(unit.node);
    const full = pad === undefined ? undefined : padIntegers(plain, layout, pad);
    const filled = full?.made ?? plain;
    const made = fold === undefined ? filled : foldIntegers(filled, fold, perChannel);
    const dims = fold === undefined ? (full?.dims ?? weight.dims) : foldedDims(fold);
    input[1] = this.storedWeights({ ...weight, dims }, made, perChannel ? layout.axis : undefined);
    if (made.bias === undefined) return;
    input[2] = this.parts.dequantized({
      dataType: DataType.INT32,
      dims: [made.bias.length],
      values: made.bias,
      scales: made.biasScales,
      axis: perChannel ? 0 : undefined,
    });
  }

  private integers(
    { inputs: [x = ''], rule }: IntegerUnit,
    { weight, bias, layout, perChannel }: StoredAs,
  ): IntegerWeights {
    const outputs = weight.dims[layout.axis] ?? 1;
    return integerWeights({
      values: floatData(weight),
      layout,
      inputScale: this.plan.tensors.get(x)?.scale ?? 1,
      perChannel,
      reduceRange: this.scheme.reduceRange,
      bias: bias === undefined ? undefined : perOutput(floatData(bias), outputs),
      // A product without a bias input has nowhere to put a correction.
      inputMean: rule.role === 'matmul' ? undefined : this.statistics.tensors.get(x)?.channelMean,
      takesBias: rule.role !== 'matmul',
      moments: this.statistics.layers?.get(layerKey(x, weight.name ?? '')),
    });
  }

  private storedWeights(
    weight: TensorProto,
    made: IntegerWeights,
    axis: number | undefined,
  ): string {
    const stem = weight.name ?? 'weight';
    const before = this.written.get(stem) ?? [];
    const same = before.find((one) => sameWeights(one.made, made));
    if (same !== undefined) return same.name;
    const { weights: values, scales } = made;
    const { dims } = weight;
    const output = this.parts.dequantized({ dataType: DataType.INT8, dims, values, scales, axis });
    this.written.set(stem, [...before, { made, name: output }]);
    return output;
  }
}

interface StoredAs {
  readonly weight: TensorProto;
  readonly bias: TensorProto | undefined;
  readonly layout: WeightLayout;
  readonly perChannel: boolean;
}

/** The attribute came with opset 19; the integer kernel does not know it, not even with ones. */
function withoutDilations(node: NodeProto): NodeProto {
  return opName(node) === 'AveragePool' ? withAttributes(node, { dilations: undefined }) : node;
}

function foldedNode(node: NodeProto, fold: PixelFold | undefined): NodeProto {
  if (fold === undefined) return node;
  const { axes } = foldedShape(fold);
  const of = (pick: (axis: ConvAxis) => number) => axes.map((axis) => BigInt(pick(axis)));
  return withAttributes(node, {
    group: undefined,
    kernel_shape: of(({ kernel }) => kernel),
    strides: of(({ stride }) => stride),
    dilations: of(({ dilation }) => dilation),
    pads: [...of(({ begin }) => begin), ...of(({ end }) => end)],
    auto_pad: undefined,
  });
}

function foldIntegers(made: IntegerWeights, fold: PixelFold, perChannel: boolean): IntegerWeights {
  const scalesFor = (scales: Float32Array) => (perChannel ? repeated(scales, fold) : scales);
  const folded = {
    weights: foldWeights(made.weights, fold),
    scales: scalesFor(made.scales),
    biasScales: scalesFor(made.biasScales),
  };
  return made.bias === undefined ? folded : { ...folded, bias: repeated(made.bias, fold) };
}

function inputSizes(fold: PixelFold): number[] {
  const folded = foldedShape(fold);
  return sizes(folded, folded.inputs, fold, ({ input }) => input);
}

function outputSizes(fold: PixelFold): number[] {
  return sizes(fold.shape, fold.shape.outputs, fold, ({ output }) => output);
}

/** Channels last: [...spatial, C]; 0 keeps what is there, as sizes in front of the fold may vary. */
function sizes(
  { axes }: ConvShape,
  channels: number,
  fold: PixelFold,
  size: (axis: ConvAxis) => number,
): number[] {
  return [...axes.map((axis, i) => (i < fold.axis ? 0 : size(axis))), channels];
}

function sameWeights(a: IntegerWeights, b: IntegerWeights): boolean {
  return equal(a.scales, b.scales) && equal(a.weights, b.weights);
}

function equal(a: Float32Array | Int8Array, b: Float32Array | Int8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Gemm takes one bias for all outputs, too. */
function perOutput(bias: Float32Array, outputs: number): Float32Array {
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
