import type { BenchJob, CollectJob, ConfigJob } from '../../../contracts/job.ts';
import { doctorSchema } from '../../../contracts/doctor.ts';
import { Slots } from '../../../deploy/slots/slots.ts';
import { messageOf } from '../../../util/errors.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import type { WorkContext } from './context.ts';
import { benchOnce } from './probe.ts';

const DEFAULT_LINES = 200;

/** Measures the model that runs and sends the report. */
export async function bench(
  input: PhaseInput,
  { model }: BenchJob,
  context: WorkContext,
): Promise<PhaseFindings> {
  const slots = new Slots(context.folders.models, model.name);
  const digest = await slots.current();
  if (digest === null) throw new PhaseError('unknown_model', `${model.name} is not installed here`);
  const release = await slots.verify(digest);
  const measured = await benchOnce(slots, release, input.signal, context);
  await context.onBench(measured);
  const latencyMs = measured.report.candidates[0]?.latencyMs ?? null;
  return { result: { version: release.version, digest, latencyMs } };
}

/** Takes settings over; a document of the desired twin that comes later has the last word. */
export async function configure(
  { settings }: ConfigJob,
  context: WorkContext,
): Promise<PhaseFindings> {
  await context.applySettings(settings);
  return { result: { applied: Object.keys(settings) } };
}

/** What somebody who looks for a fault would ask for. */
export async function collect(
  { lines = DEFAULT_LINES }: CollectJob,
  context: WorkContext,
): Promise<PhaseFindings> {
  return { result: await context.diagnostics(lines) };
}

/** `agent doctor`: that something is missing is a result, not a failure of the job. */
export async function selfcheck(
  { signal }: PhaseInput,
  { runAgent }: WorkContext,
): Promise<PhaseFindings> {
  const { stdout, complaint } = await runAgent(['doctor', '--json'], signal);
  try {
    const { healthy, checks } = doctorSchema.parse(JSON.parse(stdout));
    const failed = checks
      .filter(({ state }) => state !== 'ok')
      .map(({ id, severity, state, found, mend }) => ({ id, severity, state, found, mend }));
    return { result: { healthy, failed } };
  } catch (cause) {
    const why = complaint === '' ? messageOf(cause) : complaint;
    throw new PhaseError('child_failed', `the self-check left no report: ${why}`, { cause });
  }
}
