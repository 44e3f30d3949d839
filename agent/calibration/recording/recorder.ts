import { join } from 'node:path';
import { ID_PATTERN } from '../../contracts/ids.ts';
import type { ModelInput } from '../../contracts/recorded.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import type { InputPlan } from '../samples/types.ts';
import { RecordError } from './error.ts';
import { RateLimit } from './rate.ts';
import type { Random, ReservoirLimits } from './reservoir.ts';
import { checkSample, npzOf, plansFor, type RecordedArray } from './sample.ts';
import { SampleStore } from './store.ts';

/** What the model that runs takes. */
export interface InstalledInputs {
  /** Changes whenever another release runs. */
  readonly release: string;
  readonly inputs: readonly ModelInput[];
}

export interface RecorderOptions {
  /** One folder per model is made in it. */
  readonly folder: string;
  /** Throws RecordError for a model that is not installed. */
  readonly installed: (model: string) => Promise<InstalledInputs>;
  readonly limits: ReservoirLimits & { readonly maxPerSecond: number };
  readonly random: Random;
  readonly now: () => Date;
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number;
}

export type Recorded =
  | { readonly kept: boolean; readonly seen: number; readonly held: number }
  /** Passed over, since samples come too fast; the next one may come in so long. */
  | { readonly retryMs: number };

interface Open {
  readonly release: string;
  readonly inputs: readonly ModelInput[];
  readonly plans: readonly InputPlan[];
  readonly store: SampleStore;
  readonly rate: RateLimit;
}

/** Keeps samples of every installed model, one after the other. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #open = new Map<string, Open>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** What samples of a model must bring, and how many there are. Throws RecordError. */
  describe(model: string) {
    return this.#inTurn(async () => {
      const { inputs, store } = await this.#current(model);
      return { model, inputs, seen: store.seen, held: store.held };
    });
  }

  /** Throws RecordError when the sample is not taken; nothing has changed then. */
  record(model: string, arrays: readonly RecordedArray[]): Promise<Recorded> {
    return this.#inTurn(async () => {
      const { plans, store, rate } = await this.#current(model);
      const retryMs = rate.take(this.#options.monotonicMs());
      if (retryMs > 0) return { retryMs };
      checkSample(arrays, plans);
      const content = npzOf(arrays, plans);
      const { maxBytes } = this.#options.limits;
      if (content.length > maxBytes) {
        const message = `a sample of ${content.length} bytes is above calibration.maxBytes, ${maxBytes}`;
        throw new RecordError('TOO_LARGE', message);
      }
      const kept = await store.add(content);
      return { kept, seen: store.seen, held: store.held };
    });
  }

  /** Writes down what a restart must know. */
  flush(): Promise<void> {
    return this.#inTurn(async () => {
      // oxlint-disable-next-line no-await-in-loop -- spares the disk
      for (const { store } of this.#open.values()) await store.flush();
    });
  }

  async #current(model: string): Promise<Open> {
    // Those are ids, too, and lead out of the folder.
    if (!ID_PATTERN.test(model) || /^\.+$/.test(model)) {
      throw new RecordError('UNKNOWN_MODEL', `${JSON.stringify(model)} cannot name a model`);
    }
    const { release, inputs } = await this.#options.installed(model);
    const known = this.#open.get(model);
    if (known?.release === release && (await known.store.isThere())) return known;
    await known?.store.flush();
    const { limits, random, now } = this.#options;
    const folder = join(this.#options.folder, model);
    const opened: Open = {
      release,
      inputs,
      plans: plansFor(inputs),
      store: await SampleStore.open({ folder, model, inputs, limits, random, now }),
      rate: known?.rate ?? new RateLimit(limits.maxPerSecond),
    };
    this.#open.set(model, opened);
    return opened;
  }

  /** A disk that is full or broken must not end who waits in line. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    try {
      return await result;
    } catch (error) {
      if (error instanceof RecordError) throw error;
      // Codes of the system are like ENOSPC; ours say what they say by themselves.
      const isDisk = /^E[A-Z]/.test(codeOf(error) ?? '');
      const message = `the sample could not be kept: ${messageOf(error)}`;
      throw new RecordError(isDisk ? 'DISK' : 'FAILED', message, {
        cause: error,
        kind: 'failure',
      });
    }
  }
}
