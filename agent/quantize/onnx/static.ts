import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphProto } from '../../model/onnx/generated/messages.ts';
import { MS_DOMAIN, allNodes, nodeLabel, opName } from '../../model/onnx/graph.ts';
import { dropUnused } from '../../model/onnx/edit.ts';
import { withGraph, withOpset } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Statistics } from '../../model/statistics.ts';
import { QuantizeError } from '../errors.ts';
import type { OpReport, Quantized } from '../report.ts';
import { convertLstm } from './dynamic-lstm.ts';
import { joinBias } from './join-bias.ts';
import { isWeighted } from './op-table.ts';
import { convertRest } from './products.ts';
import type { Converters } from './products.ts';
import { QdqWriter } from './qdq-writer.ts';
import { toQOperator } from './qoperator.ts';
import { isQuantized } from './recognize.ts';
import { rearrange } from './rearrange/rearrange.ts';
import { planStatic } from './static-plan.ts';
import type { StaticPlan } from './static-plan.ts';
import { storeInt8 } from './weight-only.ts';

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
  const joined = joinBias(model.graph, observed, scheme);
  const { graph, statistics } = rearrange({ graph: joined, statistics: observed });
  const plan = planStatic(graph, statistics, scheme);
  const weighted = [...plan.units.values()].filter(({ rule }) => isWeighted(rule));
  if (weighted.length === 0) {
    throw new QuantizeError(
      'NOTHING_TO_QUANTIZE',
      `nothing of this model can run in static INT8: ${nothingMessage(graph, plan)}`,
    );
  }
  const planned = reportOps(graph, plan);
  if (scheme.integerOnly === true) refuseFloat(planned);
  const writer = new QdqWriter(graph, plan, statistics, scheme);
  const qdq = withGraph(model, dropUnused(writer.write()));
  const formed = scheme.format === 'qoperator' ? toQOperator(qdq) : qdq;
  const { model: made, ops } = withoutCalibration(formed, planned, scheme);
  return {
    model: scheme.activations === 's16' ? withOpset(made, MS_DOMAIN, 1) : made,
    ops,
    // Integer operators hold no float tensors that could be compared.
    biases: scheme.format === 'qoperator' ? [] : writer.biases,
  };
}

/** The recurrent layers, which no static kernel takes: dynamic, or at least stored in 8 bits. */
function withoutCalibration(
  model: OnnxModel,
  planned: readonly OpReport[],
  scheme: Scheme,
): Quantized<OnnxModel> {
  const rest = scheme.integerOnly === true ? undefined : convertRest(model, scheme, RECURRENT);
  if (rest === undefined) return { model, ops: planned };
  const changed = new Map(
    rest.ops.flatMap((row) => (RECURRENT.byOp.has(row.op) ? [[row.node, row] as const] : [])),
  );
  const ops = planned.map((row) => {
    return RECURRENT.byOp.has(row.op) ? (changed.get(row.node) ?? row) : row;
  });
  return { model: rest.model, ops };
}

const RECURRENT: Converters = {
  byOp: new Map([
    ['LSTM', convertLstm],
    ['GRU', storeInt8],
    ['RNN', storeInt8],
  ]),
  whyFloat: new Map(),
  nothing: '',
};

/** @throws QuantizeError that lists every op that would stay in float */
function refuseFloat(ops: readonly OpReport[]): void {
  const float = ops.filter(({ precision }) => precision === 'float');
  if (float.length === 0) return;
  const list = float.map(({ node, op, reason }) => `${op} '${node}' (${reason ?? 'float'})`);
  const message = `${float.length} of ${ops.length} operations cannot run in integers: ${list.join(', ')}`;
  throw new QuantizeError('NOT_INTEGER', message);
}

const HEAVY = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

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
