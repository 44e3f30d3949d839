import { z } from 'zod';
import { signedTypes, type SignedType } from '../../contracts/signed.ts';
import { FileError, fileError } from '../../util/files.ts';
import { Lane } from '../../util/lane.ts';
import { readTwice, writeTwice } from '../../util/second-copy.ts';

const countersSchema = z.object({
  schema: z.literal('edgefit/counters/1'),
  /** Highest release of each model that this device has run well. */
  releases: z.record(z.string(), z.number().int().nonnegative()),
  /** Highest counter of a signed document of each type that this device has taken. */
  documents: z.partialRecord(z.enum(signedTypes), z.number().int().nonnegative()).default({}),
  /** Lowest counter of a job that is still taken: one below may have been done and forgotten. */
  lowestJob: z.number().int().nonnegative().default(0),
  /** Highest epoch of a controller in a job that this device has taken. */
  epoch: z.number().int().nonnegative().default(0),
});

type Values = z.infer<typeof countersSchema>;

const NONE: Values = {
  schema: 'edgefit/counters/1',
  releases: {},
  documents: {},
  lowestJob: 0,
  epoch: 0,
};

/** Numbers that only grow, on the disk before they are relied upon: what protects from rollback. */
export class Counters {
  readonly #path: string;
  readonly #lane = new Lane();
  #values: Values;

  private constructor(path: string, values: Values) {
    this.#path = path;
    this.#values = values;
  }

  /**
   * Reads the file, or its copy where that is of no use, which `warn` is told. Throws FileError where
   * neither is: guessing would undo their purpose.
   */
  static async open(path: string, warn: (message: string) => void): Promise<Counters> {
    const found = await readTwice(path, (text) => countersSchema.parse(JSON.parse(text))).catch(
      (error: unknown) => {
        throw fileError('read', path, error);
      },
    );
    switch (found.state) {
      case 'missing':
        return new Counters(path, NONE);
      case 'damaged': {
        const what = `${path} ${found.why}: nothing keeps older releases away any more`;
        throw new FileError('DAMAGED', `${what}; remove both to begin anew`);
      }
      case 'from-copy':
        warn(`${path} ${found.why}: its copy is used`);
        return new Counters(path, found.value);
      case 'whole':
      default:
        return new Counters(path, found.value);
    }
  }

  /** The highest release of a model that ran well here; 0 before the first. */
  release(model: string): number {
    const { releases } = this.#values;
    return Object.hasOwn(releases, model) ? (releases[model] ?? 0) : 0;
  }

  async raiseRelease(model: string, counter: number): Promise<void> {
    if (counter <= this.release(model)) return;
    await this.#change((values) => ({
      ...values,
      releases: { ...values.releases, [model]: counter },
    }));
  }

  /** The highest counter of a document of a type; 0 before the first. */
  document(type: SignedType): number {
    return this.#values.documents[type] ?? 0;
  }

  async raiseDocument(type: SignedType, counter: number): Promise<void> {
    if (counter <= this.document(type)) return;
    await this.#change((values) => ({
      ...values,
      documents: { ...values.documents, [type]: counter },
    }));
  }

  /** The lowest counter of a job that was surely not done and forgotten. */
  lowestJob(): number {
    return this.#values.lowestJob;
  }

  async raiseLowestJob(counter: number): Promise<void> {
    if (counter <= this.lowestJob()) return;
    await this.#change((values) => ({ ...values, lowestJob: counter }));
  }

  /** The highest epoch of a controller; 0 before the first. */
  epoch(): number {
    return this.#values.epoch;
  }

  async raiseEpoch(epoch: number): Promise<void> {
    if (epoch <= this.epoch()) return;
    await this.#change((values) => ({ ...values, epoch }));
  }

  /** One after the other: two changes at once must not lose one. */
  async #change(make: (values: Values) => Values): Promise<void> {
    const leave = await this.#lane.enter();
    try {
      const values = make(this.#values);
      await writeTwice(this.#path, JSON.stringify(values));
      this.#values = values;
    } finally {
      leave();
    }
  }
}
