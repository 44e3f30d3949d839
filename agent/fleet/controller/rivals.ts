import type { IPublishPacket } from 'mqtt';
import { controllerStatusSchema, type ControllerStatus } from '../../contracts/rollout.ts';
import { parseTopic } from '../protocol/topics.ts';

export interface RivalsOptions {
  readonly controllerId: string;
  readonly epoch: () => number | null;
  readonly warn: (fields: object, message: string) => void;
}

/** A lead changes hands within this time; who leads beside us later leads by another store. */
const CHANGE_MS = 30_000;

const FIX =
  'devices obey the higher epoch only: stop one of the two, or give both one database (--postgres)';

/**
 * Notices a controller that leads the same fleet by a store of its own, which no store can tell, and
 * says so once for each.
 */
export class Rivals {
  readonly #options: RivalsOptions;
  readonly #said = new Set<string>();
  #sinceMs: number | null = null;
  #lastEpoch: number | null = null;

  constructor(options: RivalsOptions) {
    this.#options = options;
  }

  /** Takes a message that came live. True when it is a status of a controller, whatever it says. */
  hear({ topic, payload, retain }: Pick<IPublishPacket, 'topic' | 'payload' | 'retain'>): boolean {
    if (parseTopic(topic)?.kind !== 'controllerStatus') return false;
    const status = retain ? null : statusOf(payload);
    if (status !== null) this.#judge(status, performance.now());
    return true;
  }

  #judge({ controllerId, state, epoch }: ControllerStatus, nowMs: number): void {
    const own = this.#options.epoch();
    if (own !== this.#lastEpoch) this.#sinceMs = nowMs;
    this.#lastEpoch = own;
    const isOther = controllerId !== this.#options.controllerId && state === 'leading';
    if (own === null || !isOther || this.#said.has(controllerId)) return;
    // The one before us, of the same store, has a lower epoch and a moment to notice.
    const isBefore = epoch !== null && epoch < own && nowMs - (this.#sinceMs ?? nowMs) < CHANGE_MS;
    if (isBefore) return;
    this.#said.add(controllerId);
    const message = `${controllerId} leads this fleet, too, by a store of its own: ${FIX}`;
    this.#options.warn({ epoch: own, other: epoch }, message);
  }
}

function statusOf(payload: IPublishPacket['payload']): ControllerStatus | null {
  try {
    return controllerStatusSchema.parse(JSON.parse(payload.toString()));
  } catch {
    // Whatever somebody has left there.
    return null;
  }
}
