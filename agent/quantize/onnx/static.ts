import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import {
  MS_DOMAIN,
  capturedNames,
  mapBodies,
  nameMaker,
  nodeLabel,
  opName,
} from '../../model/onnx/graph.ts';
import { dropUnused } from '../../model/onnx/edit.ts';
import { withGraph, withOpset } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Statistics } from '../../model/statistics.ts';
import { QuantizeError } from '../errors.ts';
import { refuseFloat } from '../report.ts';
import type { OpReport, Quantized } from '../report.ts';
import type { BiasSite } from './bias-sites.ts';
import { carryForward } from './carry-forward.ts';
import { PRODUCT_CONVERTERS } from './dynamic.ts';
import { convertLstm } from './dynamic-lstm.ts';
import { isExcluded } from './excluded.ts';
import { joinBias } from './join-bias.ts';
import { isWeighted } from './op-table.ts';
import { convertRest } from './products.ts';
import type { Converter } from './products.ts';
import { QdqWriter } from './qdq-writer.ts';
import { toQOperator } from './qoperator.ts';
import { isQuantized } from './recognize.ts';
import { rearrange } from './rearrange/rearrange.ts';
import { UNSEEN, planStatic } from './static-plan.ts';
import type { StaticPlan } from './static-plan.ts';
import { quantizeForTensorRt } from './tensorrt/quantize.ts';
import { NOTHING_STORED, storeInt8 } from './weight-only.ts';

/**
 * Static INT8 in QDQ form: QuantizeLinear and DequantizeLinear around every op that onnxruntime
 * then runs in an integer kernel, int8 weights (per output channel), int32 biases.
 * @param model prepared (see prepare/): opset 13 or later, constants are initializers,
 *   BatchNormalization is folded
 * @throws QuantizeError when the model is quantized already or nothing in it can be
 */
export function quantizeStatic(
  model: OnnxModel,
  observed: Statistics,
  scheme: Scheme,
): Quantized<OnnxModel> {
  if (isQuantized(model)) {
    throw new QuantizeError('ALREADY_QUANTIZED', 'the model is quantized already');
  }
  if (scheme.activations === 's16' && scheme.format === 'qoperator') {
    const message = '16-bit activations have no integer operators: leave out --format qoperator';
    throw new QuantizeError('NOT_INTEGER', message);
  }
  if (scheme.format === 'tensorrt') return forTensorRt(model, observed, scheme);
  const unique = nameMaker(model.graph);
  const made = quantizeGraph(model.graph, [], { statistics: observed, scheme, unique });
  if (made.weighted === 0) {
    throw new QuantizeError(
      'NOTHING_TO_QUANTIZE',
      `nothing of this model can run in static INT8: ${nothingMessage(made.rows)}`,
    );
  }
  if (scheme.integerOnly === true) refuseFloat(made.rows);
  const plain = withGraph(model, made.graph);
  const qdq = scheme.activations === 's8' ? carryForward(plain) : plain;
  const formed = scheme.format === 'qoperator' ? toQOperator(qdq) : qdq;
  const { model: written, ops } = withoutCalibration(formed, made.rows, scheme);
  return {
    model: scheme.activations === 's16' ? withOpset(written, MS_DOMAIN, 1) : written,
    ops,
    // Integer operators hold no float tensors that could be compared.
    biases: scheme.format === 'qoperator' ? [] : made.biases,
  };
}

function forTensorRt(model: OnnxModel, observed: Statistics, scheme: Scheme): Quantized<OnnxModel> {
  if (scheme.activations === 's16') {
    const message = 'TensorRT has no 16-bit activations: leave out --format tensorrt';
    throw new QuantizeError('NOT_INTEGER', message);
  }
  const made = quantizeForTensorRt(model, observed, scheme);
  if (scheme.integerOnly === true) refuseFloat(made.ops);
  return made;
}

interface Given {
  readonly statistics: Statistics;
  readonly scheme: Scheme;
  readonly unique: (wish: string) => string;
}

interface QuantizedGraph {
  readonly graph: GraphProto;
  readonly rows: readonly OpReport[];
  /** How many products and convolutions run on integers. */
  readonly weighted: number;
  /** Of the graph itself: what is inside bodies cannot be measured from outside. */
  readonly biases: readonly BiasSite[];
}

/** Bodies of control flow first, each as a graph of its own; `outer` are constants they can see. */
function quantizeGraph(
  given: GraphProto,
  outer: readonly TensorProto[],
  { statistics: observed, scheme, unique }: Given,
): QuantizedGraph {
  const visible = [...given.initializer, ...outer];
  const bodies: QuantizedGraph[] = [];
  const node = given.node.map((one) =>
    mapBodies(one, (body) => {
      const captured = capturedNames(body);
      const seen = visible.filter(({ name }) => captured.has(name ?? ''));
      const inside = { ...body, initializer: [...body.initializer, ...seen] };
      const made = quantizeGraph(inside, visible, { statistics: observed, scheme, unique });
      bodies.push(made);
      // What was only lent is still there, in the graph around.
      const own = made.graph.initializer.filter((tensor) => !seen.includes(tensor));
      return { ...made.graph, initializer: own };
    }),
  );
  const inner = { graph: { ...given, node } };
  const { graph, statistics, plan } = planModel(inner, observed, scheme);
  const weighted = [...plan.units.values()].filter(({ rule }) => isWeighted(rule)).length;
  const writer = new QdqWriter(graph, plan, statistics, scheme, unique);
  return {
    graph: dropUnused(writer.write()),
    rows: [...reportOps(graph, plan), ...bodies.flatMap(({ rows }) => rows)],
    weighted: bodies.reduce((sum, body) => sum + body.weighted, weighted),
    biases: writer.biases,
  };
}

/**
 * What no range can help: recurrent layers become dynamic, or keep their weights in 8 bits at least;
 * so do tables that rows are gathered from, transposed convolutions, and what no calibration sample
 * came by, in a branch never taken: products become dynamic, convolutions keep weights in 8 bits.
 */
function withoutCalibration(
  model: OnnxModel,
  planned: readonly OpReport[],
  scheme: Scheme,
): Quantized<OnnxModel> {
  if (scheme.integerOnly === true) return { model, ops: planned };
  const unseen = new Set(
    planned.flatMap(({ node, reason }) => (reason?.startsWith(UNSEEN) === true ? [node] : [])),
  );
  const ifUnseen =
    (convert: Converter): Converter =>
    (node, context) =>
      unseen.has(nodeLabel(node)) ? convert(node, context) : KEPT;
  const rest = convertRest(model, scheme, {
    byOp: new Map<string, Converter>([
      ['LSTM', convertLstm],
      ['GRU', storeInt8],
      ['RNN', storeInt8],
      ['Gather', storeInt8],
      ['ConvTranspose', storeInt8],
      ['Conv', ifUnseen(storeInt8)],
      ...[...PRODUCT_CONVERTERS].map(([op, convert]) => [op, ifUnseen(convert)] as const),
    ]),
    nothing: '',
  });
  if (rest === undefined) return { model, ops: planned };
  const changed = new Map(rest.ops.map((row) => [row.node, row]));
  const ops = planned.map((row) => {
    const found = changed.get(row.node);
    const isChanged = STORED.has(row.op) || unseen.has(row.node);
    const isTold = found !== undefined && found.reason !== NOTHING_STORED;
    return isChanged && isTold && found.op === row.op ? found : row;
  });
  return { model: rest.model, ops };
}

const STORED: ReadonlySet<string> = new Set(['LSTM', 'GRU', 'RNN', 'Gather', 'ConvTranspose']);
const KEPT = 'as planned';

export interface Planned {
  readonly graph: GraphProto;
  /** With what rearranging the graph added. */
  readonly statistics: Statistics;
  readonly plan: StaticPlan;
}

/** What static quantization will do outside of bodies, and the graph it will do it to. */
export function planModel(
  { graph: prepared }: Pick<OnnxModel, 'graph'>,
  observed: Statistics,
  scheme: Scheme,
): Planned {
  const joined = joinBias(prepared, observed, scheme);
  const { graph, statistics } = rearrange({
    graph: joined,
    statistics: observed,
    isExcluded: (one) => isExcluded(scheme, one),
  });
  return { graph, statistics, plan: planStatic(graph, statistics, scheme) };
}

const HEAVY: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

function nothingMessage(rows: readonly OpReport[]): string {
  const heavy = rows.find(({ op, reason }) => HEAVY.has(op) && reason !== undefined);
  if (heavy === undefined) return 'it has no convolution and no matrix product';
  return `${heavy.op} '${heavy.node}': ${heavy.reason ?? ''}`;
}

function reportOps(graph: GraphProto, plan: StaticPlan): OpReport[] {
  const absorbed = new Set([...plan.units.values()].map((unit) => unit.absorbed));
  return graph.node.map((node) => {
    const row = { node: nodeLabel(node), op: opName(node) };
    if (plan.units.has(node) || absorbed.has(node)) return { ...row, precision: 'integer' };
    return { ...row, precision: 'float', reason: plan.reasons.get(node) ?? 'left as it is' };
  });
}
