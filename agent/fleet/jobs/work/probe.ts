import { join } from 'node:path';
import { benchSchema, type BenchReport } from '../../../contracts/bench.ts';
import type { JobDocument } from '../../../contracts/job.ts';
import type { Release } from '../../../contracts/release.ts';
import type { Slots } from '../../../deploy/slots/slots.ts';
import { messageOf } from '../../../util/errors.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import { mustEndWell } from './child.ts';
import type { Measured, WorkContext } from './context.ts';
import { readFitted } from './fit.ts';
import { pause } from './wait.ts';

/** Long enough for a few inferences of a slow model, short enough for a probe. */
const TRY_SECONDS = 0.2;
const BENCH_SECONDS = 1;

/**
 * Tries the model that applications now find with real inferences, asks the application how it fares,
 * and goes on asking for the soak time.
 */
export async function probe(
  input: PhaseInput,
  slots: Slots,
  digest: string,
  context: WorkContext,
): Promise<PhaseFindings> {
  const { document, signal } = input;
  const release = await slots.verify(digest);
  const report = await tryOut(slots, release, signal, context);
  const p90Ms = report.candidates[0]?.latencyMs?.p90 ?? null;
  const limit = policyOf(document)?.maxP90Ms;
  if (limit !== undefined && p90Ms !== null && p90Ms > limit) {
    throw new PhaseError('gate_missed', `p90 is ${p90Ms.toFixed(3)} ms now, above ${limit}`);
  }
  const soakMs = (document.jobType === 'deploy' ? (document.probeSeconds ?? 0) : 0) * 1000;
  const end = performance.now() + soakMs;
  do {
    // oxlint-disable-next-line no-await-in-loop -- asks again until the time is over
    await askAround(release.model, input, context);
    // oxlint-disable-next-line no-await-in-loop -- see above
    await pause(Math.max(0, Math.min(context.pollMs, end - performance.now())), signal);
  } while (performance.now() < end);
  return { result: { probeP90Ms: p90Ms } };
}

/** Real inferences in a child. Throws PhaseError when the model does not run. */
export async function tryOut(
  slots: Slots,
  release: Release,
  signal: AbortSignal,
  { runAgent }: WorkContext,
): Promise<BenchReport> {
  return benchFile(fileOf(slots, release), release.runtime, TRY_SECONDS, signal, runAgent);
}

function fileOf(slots: Slots, { digest, file }: Release): string {
  return join(slots.releaseFolder(digest), file);
}

/**
 * The release as it is, with the threads it was chosen with, measured as long as for a report; with
 * the samples of its package where `manifest` describes them.
 */
export async function benchOnce(
  slots: Slots,
  release: Release,
  signal: AbortSignal,
  { runAgent }: Pick<WorkContext, 'runAgent'>,
  manifest?: string,
): Promise<Measured> {
  const fitted = await readFitted(slots.releaseFolder(release.digest));
  const threads = fitted === null ? [] : ['--threads', String(fitted.chosen.threads)];
  const path = manifest ?? fileOf(slots, release);
  const { runtime } = release;
  const report = await benchFile(path, runtime, BENCH_SECONDS, signal, runAgent, threads);
  return { release, report, fitted };
}

async function benchFile(
  path: string,
  runtime: Release['runtime'],
  seconds: number,
  signal: AbortSignal,
  runAgent: WorkContext['runAgent'],
  more: readonly string[] = [],
): Promise<BenchReport> {
  const options = ['--as-is', '--runtime', runtime, '--min-time', String(seconds), ...more];
  const run = await runAgent(['bench', path, '--json', ...options], signal);
  const { stdout } = mustEndWell('the inference', run);
  try {
    return benchSchema.parse(JSON.parse(stdout));
  } catch (cause) {
    const message = `the inference left no report: ${messageOf(cause).split('\n')[0] ?? ''}`;
    throw new PhaseError('child_failed', message, { cause });
  }
}

async function askAround(
  model: string,
  { document, signal }: PhaseInput,
  { health, conditions }: WorkContext,
): Promise<void> {
  if (health !== null) {
    const { ok, text } = await health(model, signal);
    if (!ok) throw new PhaseError('unhealthy', text);
  }
  const limit = policyOf(document)?.maxCelsius;
  if (limit === undefined) return;
  const { celsius } = await conditions();
  if (celsius !== null && celsius > limit) {
    throw new PhaseError('too_hot', `${celsius} °C, above ${limit}`);
  }
}

function policyOf(document: JobDocument) {
  const { jobType } = document;
  return jobType === 'deploy' || jobType === 'fit' ? document.policy : undefined;
}
