import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../util/errors.ts';
import type { Store } from './store/store.ts';

export interface LeadershipOptions {
  readonly store: Store;
  readonly controllerId: string;
  /** The lowest epoch that will do; null: not ready to lead. */
  readonly ready: () => number | null;
  /** Whether this controller can do its work; one that cannot lets another lead. */
  readonly able: () => boolean;
  /** Called with a new epoch; when it throws, the lead is given up. */
  readonly onLead: (epoch: number) => Promise<void>;
  readonly onLost: () => void;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
  readonly pollMs?: number;
}

export interface Leadership {
  /** The epoch, while the lease certainly holds; null otherwise. */
  readonly epoch: () => number | null;
  /** Whatever noticed that another leads. */
  readonly lose: () => void;
  readonly stop: () => Promise<void>;
}

const POLL_MS = 1500;
/** Of the lease: clocks drift, and an answer of the database takes its time. */
const SAFE_SHARE = 0.8;
const RENEWALS = 5;
/** Renewals of a store that is ours alone. */
const MAX_RENEW_MS = 5000;
/** A leader that has been unable for so long lets another lead. */
const UNABLE_MS = 15_000;

/**
 * Leads when nobody else does. The lease is judged by a clock that goes on while the process is
 * stopped, so that one that is frozen and wakes up knows at once that its time is over.
 */
export function startLeadership(options: LeadershipOptions): Leadership {
  const { store, controllerId, log, onLead, onLost, ready, able, pollMs = POLL_MS } = options;
  const stopping = new AbortController();
  let held: { readonly epoch: number; untilMs: number } | null = null;
  const validMs = store.leaseMs * SAFE_SHARE;
  const renewMs = Math.min(MAX_RENEW_MS, store.leaseMs / RENEWALS);
  const pause = (ms: number) =>
    sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined);
  const isValid = () => held !== null && performance.now() < held.untilMs;

  /** For good: a renewal that is on its way must not bring it back. */
  const lose = () => {
    held = null;
  };

  const tryLead = async (): Promise<number | null> => {
    const minEpoch = ready();
    if (minEpoch === null) return null;
    const askedMs = performance.now();
    const epoch = await store.lead({ controllerId, minEpoch });
    if (epoch !== null) held = { epoch, untilMs: askedMs + validMs };
    return epoch;
  };

  /** Prolongs the lease until it is lost, or this controller is of no use. */
  const hold = async (epoch: number): Promise<void> => {
    let ableMs = performance.now();
    while (!stopping.signal.aborted && isValid()) {
      /* oxlint-disable no-await-in-loop -- one renewal after the other */
      await pause(renewMs);
      if (stopping.signal.aborted || !isValid()) return;
      if (able()) ableMs = performance.now();
      else if (performance.now() - ableMs > UNABLE_MS) {
        log.warn({}, 'no connection to the broker: another may lead');
        return;
      }
      const askedMs = performance.now();
      const ok = await store.renew(epoch).catch((error: unknown) => {
        log.warn({ why: messageOf(error) }, 'the lease cannot be prolonged');
        return null;
      });
      if (ok === false) return;
      if (ok === true && held?.epoch === epoch) held.untilMs = askedMs + validMs;
      /* oxlint-enable no-await-in-loop */
    }
  };

  const open = async (epoch: number): Promise<void> => {
    try {
      await onLead(epoch);
      log.info({ epoch }, 'leads');
    } catch (error) {
      lose();
      throw error;
    }
  };

  const leadOnce = async (epoch: number): Promise<void> => {
    try {
      await Promise.all([open(epoch), hold(epoch)]);
    } finally {
      held = null;
      onLost();
      await store.resign(epoch).catch(() => undefined);
      if (!stopping.signal.aborted) log.warn({ epoch }, 'does not lead any more');
    }
  };

  const loop = async (): Promise<void> => {
    let said = '';
    while (!stopping.signal.aborted) {
      /* oxlint-disable no-await-in-loop -- one attempt after the other */
      try {
        const epoch = await tryLead();
        said = '';
        if (epoch !== null) await leadOnce(epoch);
      } catch (error) {
        // A database that is away for an hour is said once.
        const why = messageOf(error);
        if (why !== said) log.warn({ why }, 'cannot lead');
        said = why;
      }
      await pause(pollMs);
      /* oxlint-enable no-await-in-loop */
    }
  };
  const ended = loop();
  return {
    epoch: () => (isValid() ? (held?.epoch ?? null) : null),
    lose,
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}
