import { throughputPerSecond } from '../../bench/statistics.ts';
import type { CandidateRow } from '../../contracts/bench.ts';
import { versionText } from '../../runtime/tensorrt/version.ts';
import type { MadeFile } from '../make/make-files.ts';
import { loadModel } from '../model-file.ts';
import { IDENTICAL, UNMEASURED, accuracyOf } from '../decide/rows.ts';
import { throttleWarnings } from '../measure/throttle-warnings.ts';
import type { Candidate, MeasuredRow } from '../types.ts';
import { shareOfVersion } from './coverage.ts';
import { buildEngine, type Built } from './engines.ts';
import { engineFiles } from './files.ts';
import { judgeEngines, type EngineJudgements } from './judge.ts';
import { lookInside, timeEngines, type EngineLook, type EngineTimes } from './measure.ts';
import type { EngineTools } from './tools.ts';

export interface EngineComparison {
  /** One per candidate, in their order. */
  readonly rows: readonly MeasuredRow[];
  readonly files: readonly MadeFile[];
  readonly warnings: readonly string[];
}

/** Builds, measures and judges the candidates for TensorRT. */
export async function compareEngines(
  candidates: readonly Candidate[],
  tools: EngineTools,
): Promise<EngineComparison> {
  const files = await engineFiles(candidates, tools);
  const engines: Built[] = [];
  const failed = new Map<string, string>();
  for (const file of files) {
    // oxlint-disable-next-line no-await-in-loop -- a builder takes the whole GPU
    const built = await buildEngine(file, tools);
    if (typeof built === 'string') failed.set(file.candidate.id, built);
    else engines.push(built);
  }
  const times = await timeEngines(engines, tools);
  const timed: EngineTimes[] = [];
  for (const [id, one] of times) {
    if (typeof one === 'string') failed.set(id, one);
    else timed.push(one);
  }
  const judged = await judgeEngines(timed, tools);
  const rows: MeasuredRow[] = [];
  for (const { candidate } of files) {
    const measured = timed.find(({ built }) => built.file.candidate.id === candidate.id);
    const error = failed.get(candidate.id) ?? 'it was not measured';
    if (measured === undefined) rows.push({ ...baseOf(candidate), ...UNMEASURED, error });
    // oxlint-disable-next-line no-await-in-loop -- one engine in memory at a time
    else rows.push(await measuredRow(candidate, measured, judged, tools));
  }
  const hot = new Map(timed.map(({ built, figures }) => [built.file.candidate.id, figures]));
  const warnings = [...judged.warnings, ...timed.flatMap(warningsOf), ...throttleWarnings(hot)];
  return { rows, files, warnings };
}

function baseOf({ id, precision, method, runtime, threads, why }: Candidate) {
  return { id, precision, method, runtime, threads, why };
}

async function measuredRow(
  candidate: Candidate,
  times: EngineTimes,
  judged: EngineJudgements,
  tools: EngineTools,
): Promise<MeasuredRow> {
  const { built, figures, loadMs, peakRssBytes } = times;
  const look = await lookInside(built, tools);
  const coverage = await coverageOf(candidate, built, look, tools);
  const own = judged.byId.get(candidate.id);
  const evaluation = typeof own === 'string' ? null : (own ?? null);
  const fidelity =
    candidate.method === 'none' && evaluation !== null
      ? (evaluation.fidelity ?? { ...IDENTICAL, samples: evaluation.samples })
      : (evaluation?.fidelity ?? null);
  return {
    ...baseOf(candidate),
    bytes: built.engine.bytes,
    ...figures,
    throughputPerSecond: throughputPerSecond(figures.latencyMs),
    loadMs,
    peakRssBytes,
    // Measured by trtexec, in its own loop.
    ownOverheadMs: null,
    integerCoverage: coverage.share,
    fidelity,
    accuracy: accuracyOf(evaluation, judged.reference),
    engine: engineFacts(times, look, coverage.from, tools),
    ...(typeof own === 'string' ? { error: own } : {}),
  };
}

const SHOWN_LAYERS = 10;

function engineFacts(
  { built: { engine }, gpuMs }: EngineTimes,
  { layers }: EngineLook,
  coverageFrom: 'engine' | 'model' | null,
  { trtexec }: EngineTools,
): NonNullable<CandidateRow['engine']> {
  const { bytes, buildSeconds, cached, device, placed } = engine;
  const isPlaced = placed.dla + placed.gpu > 0;
  return {
    tensorrt: trtexec.version === null ? null : versionText(trtexec.version),
    gpu: device,
    bytes,
    buildSeconds,
    cached,
    gpuMs,
    coverageFrom,
    ...(isPlaced ? { dlaLayers: placed.dla, gpuLayers: placed.gpu } : {}),
    slowestLayers: layers.slice(0, SHOWN_LAYERS).map(({ name, averageMs }) => {
      return { name, ms: averageMs };
    }),
  };
}

interface Coverage {
  readonly share: number | null;
  readonly from: 'engine' | 'model' | null;
}

/** What the engine says of its layers; where it does not, what the model asked for. */
async function coverageOf(
  { method, precision, scheme, dla }: Candidate,
  { file }: Built,
  look: EngineLook,
  { maker }: EngineTools,
): Promise<Coverage> {
  if (look.integerShare !== null) return { share: look.integerShare, from: 'engine' };
  if (precision !== 'int8') return { share: 0, from: 'model' };
  const unknown = { share: null, from: null } as const;
  if (method !== 'static' || dla !== undefined || 'error' in file.file) return unknown;
  const { model } = await loadModel(file.file.path);
  const share = await shareOfVersion(model, scheme, maker);
  return share === null ? unknown : { share, from: 'model' };
}

/** What a person should know: an INT8 engine on a GPU without INT8 is built, and slow. */
const TELLING =
  /native (?:FP16|Int8) support|has not been (?:run|executed) on DLA|falling back to GPU/i;

function warningsOf({ built }: EngineTimes): readonly string[] {
  const name = built.file.candidate.id.replace(/\/t\d+$/, '');
  const told = built.engine.warnings.filter((text) => TELLING.test(text)).slice(0, 3);
  return told.map((text) => `${name}: ${text}`);
}
