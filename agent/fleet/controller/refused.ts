import { z } from 'zod';
import type { RolloutCommand } from '../../contracts/rollout.ts';
import { RolloutError, rolloutErrorCodes } from '../rollouts/error.ts';
import { entries } from './store/rollouts.ts';
import type { Store } from './store/store.ts';

const refusedSchema = z.object({
  counter: z.number(),
  expires: z.string(),
  code: z.enum(rolloutErrorCodes),
  text: z.string(),
});

type Refused = z.infer<typeof refusedSchema>;

const PREFIX = 'refused/';

export interface RefusedOptions {
  readonly store: Store;
  readonly epoch: number;
  readonly now: () => number;
}

/**
 * Rollouts that were asked for and refused, until the command has expired: whoever has kept such a
 * command must not be able to bring it again when the fleet or the repository is another.
 */
export class RefusedCreates {
  readonly #options: RefusedOptions;
  readonly #known = new Map<string, Refused>();

  private constructor(options: RefusedOptions) {
    this.#options = options;
  }

  /** Throws StoreError. */
  static async open(options: RefusedOptions): Promise<RefusedCreates> {
    const refused = new RefusedCreates(options);
    for await (const [key, value] of options.store.scan(PREFIX)) {
      const { success, data } = refusedSchema.safeParse(JSON.parse(value));
      if (success) refused.#known.set(key.slice(PREFIX.length), data);
    }
    return refused;
  }

  /** Throws the RolloutError that the same command, or a later one, was refused with. */
  check(rolloutId: string, { counter }: RolloutCommand): void {
    const known = this.#known.get(rolloutId);
    if (known === undefined || counter > known.counter) return;
    throw new RolloutError(known.code, known.text);
  }

  /** Throws StoreError. */
  async add(rolloutId: string, asked: RolloutCommand, error: RolloutError): Promise<void> {
    const { store, epoch, now } = this.#options;
    const nowMs = now();
    const over = [...this.#known].filter(([, { expires }]) => Date.parse(expires) < nowMs);
    const { counter, expires } = asked;
    const refused = { counter, expires, code: error.code, text: error.message };
    await store.write(epoch, {
      put: [entries.refused(rolloutId, JSON.stringify(refused))],
      remove: over.map(([id]) => `${PREFIX}${id}`).filter((key) => key !== `${PREFIX}${rolloutId}`),
    });
    for (const [id] of over) this.#known.delete(id);
    this.#known.set(rolloutId, refused);
  }
}
