import type { CandidateRow } from '../contracts/bench.ts';
import { schemePresets } from '../contracts/scheme.ts';
import type { Scheme } from '../contracts/scheme.ts';
import { isQuantized } from '../quantize/onnx/recognize.ts';
import { compareCandidates } from './compare.ts';
import { FitError } from './errors.ts';
import type { Maker } from './make.ts';
import { plan } from './plan.ts';
import { schemesFor } from './schemes.ts';
import type { Scratch } from './scratch.ts';
import type { Subject } from './subject.ts';
import { summarize } from './summary.ts';
import type { Candidate, Hooks } from './types.ts';

/** Ways to take ranges that are worth comparing; they all come from one pass over the samples. */
const OBSERVERS: readonly Scheme['observer'][] = ['min-max', 'percentile', 'mse'];
const MIN_TIME_SECONDS = 0.5;
/** Asked for even where labels exist: arg max hides what an application may do with the scores. */
const MIN_SQNR_DB = 20;

export interface SchemeChoice {
  readonly scheme: Scheme;
  readonly rows: readonly CandidateRow[];
}

/** `--to auto`: the fastest scheme on this machine that is accurate enough, by measurement. */
export async function chooseScheme(
  subject: Subject,
  maker: Maker,
  scratch: Scratch,
  hooks: Hooks,
): Promise<SchemeChoice> {
  const { package: described, loaded, facts, profile, samples } = subject;
  if (samples.evaluation === null && isQuantized(loaded.model)) return takenOver(subject);
  const file = { name: described.name, bytes: loaded.bytes };
  const summary = summarize(loaded.model, file, facts.cpu);
  const { candidates } = plan(summary, facts, profile, {
    threads: [1],
    asIs: false,
    samplesAvailable: samples.calibration !== null,
  });
  const asked = { optimize: 'latency', maxAccuracyDrop: null, maxP90Ms: null } as const;
  const compared = await compareCandidates({
    subject,
    // A model that is quantized already keeps its own ranges.
    candidates: summary.alreadyQuantized ? candidates : candidates.flatMap(byObserver),
    maker,
    objective: { ...asked, minSqnrDb: MIN_SQNR_DB },
    minTimeSeconds: MIN_TIME_SECONDS,
    scratch,
    hooks,
  });
  const chosen = compared.files.find(({ candidate }) => candidate.id === compared.chosen);
  if (chosen === undefined) {
    const why = compared.rows.map(({ id, reason }) => `${id}: ${reason}`).join('; ');
    throw new FitError('nothing-chosen', `nothing could be chosen: ${why}`, { kind: 'failure' });
  }
  return { scheme: chosen.candidate.scheme, rows: compared.rows };
}

/** Without samples nobody can judge; but taking a quantized model over keeps its numbers. */
function takenOver({ profile, facts }: Subject): SchemeChoice {
  const [best] = schemesFor(profile, facts, 'int8-static', 'onnxruntime');
  return { scheme: best?.scheme ?? schemePresets['int8-static'], rows: [] };
}

function byObserver(candidate: Candidate): readonly Candidate[] {
  if (candidate.method !== 'static') return [candidate];
  const changes = [
    ...OBSERVERS.map((observer) => ({ name: observer, change: { observer } })),
    { name: 'equalized', change: { observer: 'min-max', equalize: true } as const },
  ];
  return changes.map(({ name, change }) => ({
    ...candidate,
    id: candidate.id.replace(/(\/t\d+)$/, `-${name}$1`),
    scheme: { ...candidate.scheme, ...change },
  }));
}
