import type { Scheme } from '../../../contracts/scheme.ts';
import { dropUnused } from '../../../model/onnx/edit.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, nameMaker, namelessNode, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { DataType, floatData, floatTensor, makeTensor } from '../../../model/onnx/tensor.ts';
import { layerKey } from '../../../model/statistics.ts';
import type { Statistics } from '../../../model/statistics.ts';
import { channelView } from '../../arithmetic.ts';
import { QuantizeError } from '../../errors.ts';
import type { Quantized } from '../../report.ts';
import { integerWeights } from '../../weights.ts';
import type { IntegerWeights } from '../../weights.ts';
import { ruleFor } from '../excluded.ts';
import { weightLayout } from '../weight-layout.ts';
import { planTensorRt } from './plan.ts';
import type { TensorRtPlan, TensorRtUnit } from './plan.ts';

/**
 * Static INT8 as TensorRT takes it in every version since 8.0 (explicit quantization): symmetric int8
 * with zero points of 0; weights stay float32 and pass through QuantizeLinear and DequantizeLinear,
 * one scale per output channel; biases stay float32. Older parsers refuse stored integers with
 * "invalid weights type of Int8" and "only activation types allowed as input to this layer"
 * (NVIDIA/TensorRT issue 2163, microsoft/onnxruntime issue 14229). The weights are those that the
 * integers stand for, so that rounding them again changes nothing.
 * @param model prepared, opset 13 or later
 * @throws QuantizeError when nothing in the model can be quantized
 */
export function quantizeForTensorRt(
  model: OnnxModel,
  statistics: Statistics,
  scheme: Scheme,
): Quantized<OnnxModel> {
  const plan = planTensorRt(model.graph, statistics, scheme);
  if (![...plan.units.values()].some(({ weighted }) => weighted)) {
    const row = plan.rows.find(({ op }) => ['Conv', 'Gemm', 'MatMul'].includes(op));
    const why =
      row === undefined
        ? 'it has no convolution and no matrix product'
        : `${row.op} '${row.node}': ${row.reason ?? ''}`;
    const message = `nothing of this model can run in INT8 with TensorRT: ${why}`;
    throw new QuantizeError('NOTHING_TO_QUANTIZE', message);
  }
  const graph = new Writer(model.graph, plan, statistics, scheme).write();
  return { model: withGraph(model, dropUnused(graph)), ops: plan.rows };
}

/** Every reader of a tensor gets a pair of nodes of its own: TensorRT fuses pairs with one reader. */
class Writer {
  private readonly graph: GraphProto;
  private readonly plan: TensorRtPlan;
  private readonly statistics: Statistics;
  private readonly scheme: Scheme;
  private readonly index: GraphIndex;
  private readonly unique: (wish: string) => string;
  private readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [];
  /** By tensor and channels: scales and zero points that are shared. */
  private readonly shared = new Map<string, string>();

  constructor(graph: GraphProto, plan: TensorRtPlan, statistics: Statistics, scheme: Scheme) {
    this.graph = graph;
    this.plan = plan;
    this.statistics = statistics;
    this.scheme = scheme;
    this.index = indexGraph(graph);
    this.unique = nameMaker(graph);
  }

  write(): GraphProto {
    for (const node of this.graph.node) {
      const unit = this.plan.units.get(node);
      if (unit === undefined) this.nodes.push(node);
      else this.writeUnit(unit);
    }
    const initializer = [...this.graph.initializer, ...this.initializers];
    return { ...this.graph, node: this.nodes, initializer };
  }

  private writeUnit({ node, weighted, inputs }: TensorRtUnit): void {
    const input = [...node.input];
    for (const at of inputs) {
      const name = node.input[at] ?? '';
      const scale = this.plan.params.get(name)?.scale ?? 1;
      const scaleName = this.once(`${name}_scale`, (to) => floatTensor(to, scale));
      input[at] = this.roundTrip(name, scaleName, []);
    }
    if (weighted) this.weights(node, input);
    this.nodes.push({ ...node, input });
  }

  private weights(node: NodeProto, input: string[]): void {
    const weight = this.index.initializers.get(node.input[1] ?? '');
    if (weight === undefined) throw new Error(`no weights for '${node.name ?? ''}'`);
    const layout = weightLayout(node, weight.dims);
    const perChannel = ruleFor(this.scheme, node).perChannel ?? this.scheme.perChannel;
    const made = this.integers(node, weight, perChannel);
    const name = this.unique(`${weight.name ?? 'weight'}_grid`);
    const scale = this.unique(`${weight.name ?? 'weight'}_scale`);
    this.initializers.push(
      makeTensor(name, DataType.FLOAT, weight.dims, onGrid(made, weight.dims, layout.axis)),
      floatTensor(scale, perChannel ? made.scales : (made.scales[0] ?? 1)),
    );
    input[1] = this.roundTrip(name, scale, perChannel ? [made.scales.length] : [], layout.axis);
    if (made.realBias === undefined) return;
    const bias = this.unique(`${weight.name ?? 'weight'}_bias`);
    this.initializers.push(floatTensor(bias, made.realBias));
    while (input.length < 2) input.push('');
    input[2] = bias;
  }

  private integers(node: NodeProto, weight: TensorProto, perChannel: boolean): IntegerWeights {
    const [x = ''] = node.input;
    const layout = weightLayout(node, weight.dims);
    const takesBias = opName(node) !== 'MatMul';
    const bias = takesBias ? this.index.initializers.get(node.input[2] ?? '') : undefined;
    const outputs = weight.dims[layout.axis] ?? 1;
    return integerWeights({
      values: floatData(weight),
      layout,
      inputScale: this.plan.params.get(x)?.scale ?? 1,
      perChannel,
      reduceRange: false,
      // Biases stay float: no scale need be raised for them.
      wideBias: true,
      bias: bias === undefined ? undefined : perOutput(floatData(bias), outputs),
      inputMean: takesBias ? this.statistics.tensors.get(x)?.channelMean : undefined,
      takesBias,
      moments: this.statistics.layers?.get(layerKey(x, weight.name ?? '')),
    });
  }

  /** from -> QuantizeLinear -> DequantizeLinear; returns the name of what comes out. */
  private roundTrip(
    from: string,
    scale: string,
    zeroDims: readonly number[],
    axis?: number,
  ): string {
    const count = zeroDims[0] ?? 1;
    const zero = this.once(`zero_${zeroDims.join() || 'scalar'}`, (to) =>
      makeTensor(to, DataType.INT8, zeroDims, new Int8Array(count)),
    );
    const attributes = zeroDims.length === 0 ? {} : { axis: BigInt(axis ?? 0) };
    const bytes = this.unique(`${from}_q`);
    const output = this.unique(`${from}_dq`);
    this.nodes.push(
      namelessNode('QuantizeLinear', [from, scale, zero], [bytes], attributes),
      namelessNode('DequantizeLinear', [bytes, scale, zero], [output], attributes),
    );
    return output;
  }

  private once(key: string, make: (name: string) => TensorProto): string {
    const known = this.shared.get(key);
    if (known !== undefined) return known;
    const name = this.unique(key);
    this.shared.set(key, name);
    this.initializers.push(make(name));
    return name;
  }
}

/** The real values that integers and their scales stand for. */
function onGrid(
  { weights, scales }: IntegerWeights,
  dims: readonly number[],
  axis: number,
): Float32Array {
  const { channels, inner } = channelView(dims, axis);
  const one = scales.length === 1;
  return Float32Array.from(weights, (value, at) => {
    const channel = one ? 0 : Math.floor(at / inner) % channels;
    return value * (scales[channel] ?? 1);
  });
}

/** Gemm takes one bias for all outputs, too. */
function perOutput(bias: Float32Array, outputs: number): Float32Array {
  return bias.length === outputs ? bias : new Float32Array(outputs).fill(bias[0] ?? 0);
}
