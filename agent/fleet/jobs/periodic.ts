import { readdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Slots } from '../../deploy/slots/slots.ts';
import { messageOf } from '../../util/errors.ts';
import { PhaseError } from './phase-work.ts';
import type { JobRunner } from './runner.ts';
import type { Measured, WorkContext } from './work/context.ts';
import { evaluationManifest } from './work/evaluation.ts';
import { benchOnce } from './work/probe.ts';
import { pause, reasonNotNow } from './work/wait.ts';

export interface PeriodicOptions {
  /** Accuracy too, where the samples of the package are kept. */
  readonly accuracy: boolean;
  /** How long a lock, heat or weak power may put it off. */
  readonly waitMs: number;
  /** Longest time for one model. */
  readonly limitMs: number;
}

export interface PeriodicParts {
  readonly context: WorkContext;
  readonly runner: Pick<JobRunner, 'alone'>;
  readonly log: { readonly warn: (fields: object, message: string) => void };
}

/**
 * Measures every deployed model as it is, in a child, one at a time and never beside a job, and hands
 * over what it finds. A model that cannot be measured now is left out, with a line in the log.
 */
export async function measureDeployed(
  options: PeriodicOptions,
  parts: PeriodicParts,
): Promise<void> {
  const { context, log } = parts;
  const models = await readdir(context.folders.models).catch(() => []);
  for (const model of models) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- they would disturb each other
      const measured = await measureOne(new Slots(context.folders.models, model), options, parts);
      // oxlint-disable-next-line no-await-in-loop -- see above
      if (measured !== null) await context.onBench(measured);
    } catch (error) {
      log.warn({ model, why: messageOf(error) }, 'the deployed model was not measured');
    }
  }
}

/** Null where no release runs. Throws what keeps it from being measured. */
async function measureOne(
  slots: Slots,
  options: PeriodicOptions,
  { context, runner }: PeriodicParts,
): Promise<Measured | null> {
  const deadline = performance.now() + options.waitMs;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- tried again until the time is over
    const outcome = await runner.alone(async (stop) => {
      const why = reasonNotNow(await context.conditions());
      if (why !== null) return { why, stop };
      return { done: await measureNow(slots, options, context, stop) };
    });
    if ('done' in outcome) return outcome.done;
    if (performance.now() >= deadline) throw new PhaseError('busy', outcome.why);
    // oxlint-disable-next-line no-await-in-loop -- see above
    await pause(context.pollMs, outcome.stop);
  }
}

async function measureNow(
  slots: Slots,
  { accuracy, limitMs }: PeriodicOptions,
  context: WorkContext,
  stop: AbortSignal,
): Promise<Measured | null> {
  const digest = await slots.current();
  if (digest === null) return null;
  const release = await slots.verify(digest);
  const signal = AbortSignal.any([stop, AbortSignal.timeout(limitMs)]);
  const manifest = accuracy ? await evaluationManifest(slots, release, context) : undefined;
  try {
    return await benchOnce(slots, release, signal, context, manifest);
  } finally {
    if (manifest !== undefined) await rm(dirname(manifest), { recursive: true, force: true });
  }
}
