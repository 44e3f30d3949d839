import type { Entry } from './entry.ts';
import { canCancel, LIMIT_SECONDS } from './phases.ts';
import {
  PhaseError,
  type PhaseFindings,
  type PhaseHandler,
  type PhaseInput,
} from './phase-work.ts';

/** After its deadline a handler gets this long to notice; then it is left behind. */
const GRACE_MS = 2000;

export interface ActOptions {
  /** Ends with the daemon. */
  readonly stop: AbortSignal;
  /** Heeded where the job has not begun to change the device. */
  readonly canceled: AbortSignal;
  readonly onProgress: PhaseInput['onProgress'];
}

/**
 * Does the work of the phase that an entry is in. Throws what the handler throws, `phase_timeout` after
 * the deadline, and the reason of the signal that ended it.
 */
export async function act(
  entry: Entry,
  handler: PhaseHandler,
  { stop, canceled, onProgress }: ActOptions,
): Promise<PhaseFindings> {
  const limitMs = limitSeconds(entry) * 1000;
  const deadline = AbortSignal.timeout(Math.ceil(limitMs));
  const mayCancel = canCancel(entry.phase) ? [canceled] : [];
  const signal = AbortSignal.any([stop, deadline, ...mayCancel]);
  const work = handler({
    document: entry.document,
    data: entry.data,
    failure: entry.failure,
    attempt: entry.attempts[entry.phase] ?? 1,
    signal,
    onProgress,
  });
  try {
    return await Promise.race([work, whenHung(signal)]);
  } catch (error) {
    if (deadline.aborted && !stop.aborted && !canceled.aborted) {
      const text = `${entry.phase} took longer than ${limitSeconds(entry)} s`;
      throw new PhaseError('phase_timeout', text, { cause: error });
    }
    throw signal.aborted ? signal.reason : error;
  } finally {
    // Left behind: whatever it still does, nobody listens.
    work.catch(() => undefined);
  }
}

function limitSeconds({ document, phase }: Entry): number {
  return document.limits?.phaseSeconds?.[phase] ?? LIMIT_SECONDS[phase];
}

/** Rejects some time after the signal, for a handler that does not listen to it. */
function whenHung(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => {
      setTimeout(() => {
        reject(new PhaseError('hung', 'it did not stop when told to'));
      }, GRACE_MS).unref();
    };
    if (signal.aborted) give();
    else signal.addEventListener('abort', give, { once: true });
  });
}
