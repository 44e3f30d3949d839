import type { RolloutState } from '../rollouts/state.ts';
import { clearRecordMessage } from './documents.ts';
import type { Publisher } from './publisher.ts';
import { forgetRollout } from './store/rollouts.ts';
import type { Store } from './store/store.ts';

/** How many rollouts that have ended are kept, and for how long. */
export interface Retention {
  readonly rollouts: number;
  readonly days: number;
}

export const RETENTION: Retention = { rollouts: 200, days: 90 };

const DAY_MS = 86_400_000;
/** At most so many are taken away in one step, so that a step stays short. */
const MAX_BATCH = 10;
const LOOK_MS = 60_000;

/** Rollouts that have ended and are kept no longer: the oldest beyond the number, and those too old. */
export function dueForRemoval(
  history: Iterable<RolloutState>,
  { rollouts, days }: Retention,
  nowMs: number,
): readonly string[] {
  const ended = [...history]
    .map(({ record }) => ({
      rolloutId: record.rolloutId,
      endedMs: Date.parse(record.endedAt ?? record.ts),
    }))
    .toSorted((a, b) => b.endedMs - a.endedMs);
  return ended
    .filter(({ endedMs }, at) => at >= rollouts || nowMs - endedMs > days * DAY_MS)
    .map(({ rolloutId }) => rolloutId)
    .toReversed();
}

export interface RetirementOptions {
  readonly store: Store;
  readonly epoch: number;
  readonly publisher: Publisher;
  readonly keep: Retention;
  readonly now: () => number;
  /** The time by the devices' clocks; null: none was heard. */
  readonly fleetNow: () => number | null;
}

/**
 * Takes rollouts away that are long over: first from the broker and, when that is acknowledged, from
 * the store, so that a controller that stops in between does it again. Nothing is too old only by the
 * clock of this machine, which may have been set wrong: those of the devices have to say so, too.
 */
export class Retirement {
  readonly #options: RetirementOptions;
  readonly #asked = new Set<string>();
  readonly #gone = new Set<string>();
  #seen = 0;
  #lookMs = Number.NEGATIVE_INFINITY;

  constructor(options: RetirementOptions) {
    this.#options = options;
  }

  /** Whether a rollout is about to go. */
  has(rolloutId: string): boolean {
    return this.#asked.has(rolloutId);
  }

  /** Somebody has taken it up again: it stays. */
  spare(rolloutId: string): void {
    this.#asked.delete(rolloutId);
    this.#gone.delete(rolloutId);
  }

  /** What waited to be sent is not sent any more. */
  forgetAsked(): void {
    this.#asked.clear();
  }

  /** Removes what is gone from `history`, and asks for more. Throws StoreError. */
  async step(history: Map<string, RolloutState>): Promise<void> {
    const { store, epoch, publisher, keep } = this.#options;
    for (const rolloutId of this.#gone) {
      const state = history.get(rolloutId);
      this.#gone.delete(rolloutId);
      this.#asked.delete(rolloutId);
      if (state === undefined) continue;
      // oxlint-disable-next-line no-await-in-loop -- one write after the other
      await forgetRollout(store, epoch, state);
      history.delete(rolloutId);
    }
    const steadyMs = performance.now();
    if (history.size === this.#seen && steadyMs < this.#lookMs) return;
    this.#seen = history.size;
    this.#lookMs = steadyMs + LOOK_MS;
    const due = dueForRemoval(history.values(), keep, this.#certainMs()).filter(
      (id) => !this.has(id),
    );
    for (const rolloutId of due.slice(0, MAX_BATCH)) {
      this.#asked.add(rolloutId);
      publisher.send(clearRecordMessage(rolloutId), () => {
        if (this.has(rolloutId)) this.#gone.add(rolloutId);
      });
    }
  }

  /** As late as it is at least. */
  #certainMs(): number {
    const { now, fleetNow } = this.#options;
    return Math.min(now(), fleetNow() ?? Number.NEGATIVE_INFINITY);
  }
}
