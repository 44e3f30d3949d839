import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { replaceFile } from '../../util/durable.ts';
import { codeOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';

const countersSchema = z.object({
  schema: z.literal('edgefit/counters/1'),
  /** Highest release of each model that this device has run well. */
  releases: z.record(z.string(), z.number().int().nonnegative()),
});

type Values = z.infer<typeof countersSchema>;

const NONE: Values = { schema: 'edgefit/counters/1', releases: {} };

/** Numbers that only grow, on the disk before they are relied upon: what protects from rollback. */
export class Counters {
  readonly #path: string;
  #values: Values;

  private constructor(path: string, values: Values) {
    this.#path = path;
    this.#values = values;
  }

  /** Throws FileError for a file that cannot be read or is damaged: guessing would undo its purpose. */
  static async open(path: string): Promise<Counters> {
    try {
      const text = await readFile(path, 'utf8');
      return new Counters(path, countersSchema.parse(JSON.parse(text)));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return new Counters(path, NONE);
      throw fileError('read', path, error);
    }
  }

  /** The highest release of a model that ran well here; 0 before the first. */
  release(model: string): number {
    const { releases } = this.#values;
    return Object.hasOwn(releases, model) ? (releases[model] ?? 0) : 0;
  }

  async raiseRelease(model: string, counter: number): Promise<void> {
    if (counter <= this.release(model)) return;
    const releases = { ...this.#values.releases, [model]: counter };
    const values = { ...this.#values, releases };
    await replaceFile(this.#path, JSON.stringify(values));
    this.#values = values;
  }
}
