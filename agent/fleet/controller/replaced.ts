import { afresh } from '../rollouts/execution.ts';
import type { Case } from './case.ts';

/**
 * Devices with open jobs whose cards were taken away, and with them whatever the broker kept for them:
 * another board may come under the same name (`agent fleet replace ID`), and needs its jobs again.
 */
export class Replaced {
  readonly #gone = new Set<string>();
  readonly #back = new Set<string>();

  /** The card of a device has come, or is gone. */
  hearCard(cases: Iterable<Case>, deviceId: string, isThere: boolean): void {
    if (isThere) {
      if (this.#gone.delete(deviceId)) this.#back.add(deviceId);
      return;
    }
    this.#back.delete(deviceId);
    for (const one of cases) {
      const execution = one.executions.get(deviceId);
      const next = execution === undefined ? undefined : afresh(execution);
      if (next === undefined || next === execution) continue;
      // What the new board says begins anew, and of the old one only stays that it was heard.
      one.executions.set(deviceId, next);
      one.heard.add(deviceId);
      this.#gone.add(deviceId);
    }
  }

  /** Those that are there again; to be told of when their jobs are. */
  back(): ReadonlySet<string> {
    return new Set(this.#back);
  }

  /** They have their jobs. */
  served(deviceIds: Iterable<string>): void {
    for (const deviceId of deviceIds) this.#back.delete(deviceId);
  }
}
