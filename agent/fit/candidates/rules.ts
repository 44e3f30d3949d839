import type { RuntimeName } from '../../contracts/facts.ts';
import type { SchemeName } from '../../contracts/scheme.ts';
import { listedSchemes } from './schemes.ts';
import { counted } from '../report/words.ts';
import type { ModelSummary, PlanProfile, PlanRequest } from '../types.ts';

/** What planning decides about, one by one. */
export type Method = SchemeName;

interface WorthyOps {
  /** Operators with weights that run on integers when both sides are calibrated. */
  readonly static: readonly string[];
  /** Operators that quantize their input as it arrives; convolutions have no fast kernel for that. */
  readonly dynamic: readonly string[];
  /** Those of `dynamic` that are no products: they have weights whatever is around them. */
  readonly recurrent: readonly string[];
  readonly convs: readonly string[];
}

const OPS: Readonly<Record<ModelSummary['format'], WorthyOps>> = {
  onnx: {
    static: ['Conv', 'MatMul', 'Gemm'],
    dynamic: ['MatMul', 'Gemm', 'LSTM'],
    recurrent: ['LSTM'],
    convs: ['Conv'],
  },
  tflite: {
    static: ['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'TRANSPOSE_CONV', 'BATCH_MATMUL'],
    dynamic: ['FULLY_CONNECTED', 'UNIDIRECTIONAL_SEQUENCE_LSTM', 'LSTM', 'SVDF', 'BATCH_MATMUL'],
    recurrent: ['UNIDIRECTIONAL_SEQUENCE_LSTM', 'LSTM', 'SVDF'],
    convs: ['CONV_2D', 'DEPTHWISE_CONV_2D'],
  },
};

function countOf(summary: ModelSummary, ops: readonly string[]): number {
  return ops.reduce((sum, op) => sum + (summary.opCounts.get(op) ?? 0), 0);
}

function present(summary: ModelSummary, ops: readonly string[]): string {
  return ops.filter((op) => (summary.opCounts.get(op) ?? 0) > 0).join('/');
}

/** A rule names a reason against, or undefined. They are asked in order; the first reason counts. */
type Rule = (context: {
  readonly method: Method;
  readonly summary: ModelSummary;
  readonly profile: PlanProfile;
  readonly request: PlanRequest;
  readonly runtime: RuntimeName;
}) => string | undefined;

const precisionOf = (method: Method) => (method === 'fp16' ? 'fp16' : 'int8');

const wasAsked = (method: Method, request: PlanRequest) =>
  request.precisions?.some((choice) => choice === method || choice === precisionOf(method)) ??
  false;

const notAskedFor: Rule = ({ method, request }) =>
  request.precisions !== undefined && !wasAsked(method, request)
    ? 'not asked for (--precision)'
    : undefined;

const engineLimits: Rule = ({ method, summary, runtime }) => {
  if (runtime !== 'tensorrt') return undefined;
  if (method === 'int8-dynamic') return 'TensorRT has no dynamic quantization';
  return summary.alreadyQuantized
    ? 'the model is already quantized: TensorRT gets it as it is'
    : undefined;
};

const alreadySmall: Rule = ({ method, summary }) => {
  if (summary.alreadyQuantized && method === 'int8-static') {
    return 'the model is already quantized, in the form that runs fastest: it is kept as it is';
  }
  if (summary.alreadyQuantized) {
    return 'the model is already quantized: give the float model to compare precisions';
  }
  if (method === 'fp16' && summary.precision === 'fp16') {
    return 'the weights of the file are fp16 already';
  }
  // int8 without integer activations: int8-static can give it these.
  return method !== 'int8-static' && summary.precision === 'int8'
    ? 'the weights of the file are in 8 bits already'
    : undefined;
};

/** What the profile advises against is still measured when it was asked for. */
const profileAdvice: Rule = ({ method, profile, request, runtime }) => {
  if (wasAsked(method, request)) return undefined;
  const advice = profile.notWorthTrying.find(
    ({ precision, runtimes }) =>
      (precision === method || precision === precisionOf(method)) &&
      (runtimes?.includes(runtime) ?? true),
  );
  if (advice !== undefined) return advice.why;
  return listedSchemes(profile, method, runtime).length > 0
    ? undefined
    : `profile ${profile.id} does not list it for ${runtime}`;
};

const needsOps: Rule = ({ method, summary }) => {
  const ops = OPS[summary.format];
  if (method === 'fp16') {
    return summary.weightBytes === 0 ? 'the model has no weights to shrink' : undefined;
  }
  if (method === 'int8-static') {
    return countOf(summary, ops.static) === 0
      ? `the model has no ${ops.static.join(', ')} node, so nothing would run on integers`
      : undefined;
  }
  return summary.hasMatMul || countOf(summary, ops.recurrent) > 0
    ? undefined
    : `the model has no ${ops.dynamic.join(', ')} with constant weights${
        summary.hasConv ? ', and Conv is slower this way' : ''
      }`;
};

const needsSamples: Rule = ({ method, request }) =>
  method === 'int8-static' && !request.samplesAvailable
    ? 'it needs calibration samples: give --samples'
    : undefined;

const RULES: readonly Rule[] = [
  notAskedFor,
  engineLimits,
  alreadySmall,
  profileAdvice,
  needsOps,
  needsSamples,
];

/** Why this method is not worth trying, or undefined when it is. */
export function obstacleTo(
  method: Method,
  summary: ModelSummary,
  profile: PlanProfile,
  request: PlanRequest,
  runtime: RuntimeName,
): string | undefined {
  const converts = method === 'int8-static' && summary.convertible === true;
  for (const rule of converts ? [notAskedFor, engineLimits] : RULES) {
    const reason = rule({ method, summary, profile, request, runtime });
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** What there is to gain in this model. */
export function whyWorthIt(method: Method, summary: ModelSummary): string {
  if (summary.alreadyQuantized) return 'already quantized: its own integers in a form that fuses';
  if (method === 'fp16') return '16-bit weights';
  const known = OPS[summary.format];
  const ops = method === 'int8-static' ? known.static : known.dynamic;
  const nodes = `${counted(countOf(summary, ops), 'node')} (${present(summary, ops)})`;
  if (method === 'int8-static') return `${nodes} can run on integers`;
  const convs = countOf(summary, known.convs);
  const rest = convs > 0 ? `, ${counted(convs, 'Conv')} stay float` : '';
  return `${nodes} can run on integers without samples${rest}`;
}
