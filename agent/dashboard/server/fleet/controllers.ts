import {
  controllerStatusSchema,
  rolloutSchema,
  type ControllerStatus,
  type Rollout,
} from '../../../contracts/rollout.ts';
import { parseTopic } from '../../../fleet/protocol/topics.ts';
import type { z } from 'zod';

/** What a message has changed. */
export type Changed =
  | { readonly kind: 'controllers' }
  | { readonly kind: 'rollout'; readonly rollout: Rollout }
  | { readonly kind: 'gone'; readonly rolloutId: string };

/** What the broker keeps of controllers and rollouts. Newer records replace older ones. */
export class Controllers {
  readonly #controllers = new Map<string, ControllerStatus>();
  readonly #rollouts = new Map<string, Rollout>();

  controllers(): readonly ControllerStatus[] {
    return [...this.#controllers.values()];
  }

  rollouts(): readonly Rollout[] {
    return [...this.#rollouts.values()];
  }

  rollout(rolloutId: string): Rollout | null {
    return this.#rollouts.get(rolloutId) ?? null;
  }

  /** What has changed by a message; null when it is of something else, old, or cannot be read. */
  take(topic: string, payload: Uint8Array): Changed | null {
    const parsed = parseTopic(topic);
    if (parsed?.kind === 'controllerStatus') {
      return this.#takeStatus(parsed.ids['controller'] ?? '', payload);
    }
    if (parsed?.kind !== 'rollout') return null;
    if (payload.length === 0) return this.forget(parsed.ids['rollout'] ?? '');
    return this.takeRollout(readJson(rolloutSchema, payload));
  }

  /** A rollout that is kept no more; null when it was not known. */
  forget(rolloutId: string): Changed | null {
    return this.#rollouts.delete(rolloutId) ? { kind: 'gone', rolloutId } : null;
  }

  /** A rollout as the broker keeps it or a controller answers. */
  takeRollout(rollout: Rollout | null): Changed | null {
    if (rollout === null) return null;
    const known = this.#rollouts.get(rollout.rolloutId);
    if (known !== undefined && !isNewer(rollout, known)) return null;
    this.#rollouts.set(rollout.rolloutId, rollout);
    return { kind: 'rollout', rollout };
  }

  #takeStatus(controllerId: string, payload: Uint8Array): Changed | null {
    const changed = { kind: 'controllers' } as const;
    if (payload.length === 0) return this.#controllers.delete(controllerId) ? changed : null;
    const status = readJson(controllerStatusSchema, payload);
    if (status === null || status.controllerId !== controllerId) return null;
    const known = this.#controllers.get(controllerId);
    // A will of an older connection may come late.
    if (known !== undefined && known.session > status.session) return null;
    this.#controllers.set(controllerId, status);
    return changed;
  }
}

function isNewer(a: Rollout, b: Rollout): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.rev > b.rev);
}

/** What a message says, or null where it cannot be read. */
export function readJson<Schema extends z.ZodType>(
  schema: Schema,
  payload: Uint8Array,
): z.output<Schema> | null {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return schema.safeParse(json).data ?? null;
  } catch {
    // Whatever somebody has left there.
    return null;
  }
}
