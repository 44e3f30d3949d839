import { AgentError } from '../util/errors.ts';
import { EXIT } from './errors.ts';

export class Interrupted extends AgentError {
  override readonly name = 'Interrupted';
}

/** SIGHUP comes when a terminal or a remote shell is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What it takes of `process`. */
export interface SignalTarget {
  on(name: (typeof SIGNALS)[number], listener: () => void): unknown;
  exit(code: number): unknown;
}

/**
 * The first of these signals aborts the returned signal, so that children end and files are
 * removed; the second ends the process at once.
 */
export function abortOnSignals(target: SignalTarget): AbortSignal {
  const controller = new AbortController();
  for (const name of SIGNALS) {
    target.on(name, () => {
      if (controller.signal.aborted) target.exit(EXIT.failed);
      controller.abort(
        new Interrupted('interrupted', `interrupted by ${name}`, { kind: 'failure' }),
      );
    });
  }
  return controller.signal;
}
