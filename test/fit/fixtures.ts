import type { Facts } from '../../agent/contracts/facts.ts';
import type {
  MeasuredRow,
  ModelSummary,
  Objective,
  PlanProfile,
  PlanRequest,
} from '../../agent/fit/types.ts';

export function summary(changes: Partial<ModelSummary> = {}): ModelSummary {
  return {
    name: 'classifier',
    format: 'onnx',
    bytes: 4_000_000,
    opCounts: new Map([
      ['Conv', 20],
      ['Gemm', 1],
      ['Relu', 20],
    ]),
    weightBytes: 3_900_000,
    hasRecurrent: false,
    hasConv: true,
    hasMatMul: true,
    alreadyQuantized: false,
    precision: 'fp32',
    floatInputs: ['input'],
    ...changes,
  };
}

export function cpu(changes: Partial<Facts['cpu']> = {}): Pick<Facts, 'cpu'> {
  return {
    cpu: {
      arch: 'x64',
      vendor: null,
      model: null,
      coresOnline: 4,
      coresUsable: 4,
      features: ['avx2', 'avx512_vnni'],
      governor: null,
      maxFrequencyHz: null,
      currentFrequencyHz: null,
      frequencyCappedToHz: null,
      ...changes,
    },
  };
}

export function profile(changes: Partial<PlanProfile> = {}): PlanProfile {
  return {
    id: 'generic-x86-64',
    precisions: ['int8', 'fp32'],
    runtimes: ['onnxruntime'],
    schemes: ['static', 'dynamic'].map((method) => ({
      precision: 'int8',
      method: method === 'static' ? 'static' : 'dynamic',
      activations: 'u8',
      weights: 's8',
      perChannel: true,
      reduceRange: false,
      runtimes: ['onnxruntime'],
      why: 'VNNI multiplies u8 by s8',
    })),
    threads: { max: null },
    notWorthTrying: [{ precision: 'fp16', why: 'this CPU computes fp16 in fp32' }],
    ...changes,
  };
}

export function request(changes: Partial<PlanRequest> = {}): PlanRequest {
  return { samplesAvailable: true, asIs: false, ...changes };
}

interface RowShape {
  readonly p50?: number;
  readonly p90?: number;
  readonly bytes?: number | null;
  readonly peak?: number | null;
  /** Points of top1. */
  readonly drop?: number;
  readonly samples?: number;
  readonly value?: number;
  /** undefined: no fidelity was measured; null: identical. */
  readonly sqnr?: number | null;
  readonly error?: string;
}

/** A measured row from its id, e.g. `onnxruntime/int8-static/t2`. */
export function row(id: string, shape: RowShape = {}): MeasuredRow {
  const [, label = '', thread = ''] = id.split('/');
  const [precision, method] = label.split('-');
  const p50 = shape.p50 ?? 1;
  const samples = shape.samples ?? 2000;
  const byPrecision = { int8: 1_000_000, fp16: 2_000_000, fp32: 4_000_000 } as const;
  const kind = precision === 'int8' || precision === 'fp16' ? precision : 'fp32';
  const kinds = { static: 'static', dynamic: 'dynamic' } as const;
  const how = method === 'static' || method === 'dynamic' ? kinds[method] : 'none';
  return {
    id,
    precision: kind,
    method: kind === 'fp16' ? 'fp16' : how,
    runtime: 'onnxruntime',
    threads: Number(thread.slice(1)),
    bytes: shape.bytes === undefined ? byPrecision[kind] : shape.bytes,
    latencyMs:
      shape.error === undefined
        ? { p50, p90: shape.p90 ?? p50 * 1.1, p99: p50 * 1.3, mean: p50, min: p50, count: 100 }
        : null,
    throughputPerSecond: 1000 / p50,
    loadMs: 5,
    peakRssBytes: shape.peak === undefined ? 50_000_000 : shape.peak,
    ownOverheadMs: 0.01,
    integerCoverage: kind === 'int8' ? 0.99 : 0,
    fidelity:
      shape.sqnr === undefined
        ? null
        : { sqnrDb: shape.sqnr, cosine: 0.999, top1Agreement: 0.99, samples },
    accuracy:
      shape.drop === undefined
        ? null
        : {
            metric: 'top1',
            value: shape.value ?? 0.9 - shape.drop / 100,
            drop: shape.drop / 100,
            samples,
          },
    heat: null,
    why: 'a reason to try it',
    error: shape.error,
  };
}

export const labelled: Objective = {
  optimize: 'latency',
  maxAccuracyDrop: 1,
  minSqnrDb: null,
  maxP90Ms: null,
};

export const unlabelled: Objective = { ...labelled, maxAccuracyDrop: null, minSqnrDb: 20 };
