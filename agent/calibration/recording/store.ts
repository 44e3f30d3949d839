import { randomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ModelInput, RecordedSet } from '../../contracts/recorded.ts';
import { removeDurably, replaceFile } from '../../util/durable.ts';
import { makeFolderDurably, namesIn } from '../../util/files.ts';
import { offer, trim, type Random, type Reservoir, type ReservoirLimits } from './reservoir.ts';
import { heldIn, readSet, sameInputs, sampleFile, SET_FILE } from './set.ts';

export interface StoreOptions {
  /** Of this model alone; made when the first sample comes. */
  readonly folder: string;
  readonly model: string;
  readonly inputs: readonly ModelInput[];
  readonly limits: ReservoirLimits;
  readonly random: Random;
  readonly now: () => Date;
}

const OWNER_ONLY = 0o700;
const PART = /^\..*\.part$/;

/**
 * The samples of one model on the disk. What it holds is a uniform choice of all it was offered since
 * it was begun, also after a restart. A crash can lose the count of samples that were passed over since
 * the last `flush`, never a sample. One writer at a time. Throws system errors.
 */
export class SampleStore {
  readonly #options: StoreOptions;
  readonly #set: RecordedSet;
  #reservoir: Reservoir;
  #written: number;

  private constructor(options: StoreOptions, set: RecordedSet, reservoir: Reservoir) {
    this.#options = options;
    this.#set = set;
    this.#reservoir = reservoir;
    this.#written = reservoir.seen;
  }

  /** Takes up what is there. A set for other inputs, as an older version of the model had, is removed. */
  static async open(options: StoreOptions): Promise<SampleStore> {
    const { folder, inputs } = options;
    let set = await readSet(folder);
    if (set === null || !sameInputs(set.inputs, [...inputs])) {
      await removeDurably(folder);
      set = await begin(options);
    }
    return new SampleStore(options, set, await recover(options, set));
  }

  get seen(): number {
    return this.#reservoir.seen;
  }

  get held(): number {
    return this.#reservoir.held.length;
  }

  /** Whether the set on the disk is still the one that was opened: somebody may have cleared it. */
  async isThere(): Promise<boolean> {
    return (await readSet(this.#options.folder))?.id === this.#set.id;
  }

  /** Offers one sample, a whole .npz file; says whether it was kept. */
  async add(content: Uint8Array): Promise<boolean> {
    const { folder, limits, random } = this.#options;
    const { reservoir, kept, evicted } = offer(this.#reservoir, content.length, limits, random);
    // First the new one: a crash between the two leaves one more, which the next start takes away.
    if (kept) await replaceFile(join(folder, sampleFile(this.seen)), content);
    this.#reservoir = reservoir;
    if (kept) this.#written = reservoir.seen;
    // oxlint-disable-next-line no-await-in-loop -- one, nearly always
    for (const { index } of evicted) await removeDurably(join(folder, sampleFile(index)));
    return kept;
  }

  /** Writes the count of samples down, where it has grown. */
  async flush(): Promise<void> {
    if (this.#written === this.seen || !(await this.isThere())) return;
    await writeSet(this.#options.folder, { ...this.#set, seen: this.seen });
    this.#written = this.seen;
  }
}

async function begin(options: StoreOptions): Promise<RecordedSet> {
  const { folder, model, inputs, now } = options;
  for (const path of [dirname(folder), folder]) {
    // oxlint-disable-next-line no-await-in-loop -- the second is in the first
    await makeFolderDurably(path);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await chmod(path, OWNER_ONLY);
  }
  const id = randomBytes(8).toString('hex');
  const since = now().toISOString();
  const set: RecordedSet = {
    schema: 'edgefit/recorded/1',
    id,
    model,
    inputs: [...inputs],
    seen: 0,
    since,
  };
  await writeSet(folder, set);
  return set;
}

function writeSet(folder: string, set: RecordedSet): Promise<void> {
  return replaceFile(join(folder, SET_FILE), `${JSON.stringify(set)}\n`);
}

/** What a crash, or somebody with other limits, has left. */
async function recover(
  { folder, limits, random }: StoreOptions,
  set: RecordedSet,
): Promise<Reservoir> {
  for (const name of await namesIn(folder)) {
    // oxlint-disable-next-line no-await-in-loop -- rare
    if (PART.test(name)) await removeDurably(join(folder, name));
  }
  const found = await heldIn(folder);
  const last = found.at(-1);
  const held = trim(found, limits, random);
  for (const one of found) {
    // oxlint-disable-next-line no-await-in-loop -- rare
    if (!held.includes(one)) await removeDurably(join(folder, sampleFile(one.index)));
  }
  // With nothing held there is nothing that could be favoured.
  const seen = last === undefined ? 0 : Math.max(set.seen, last.index + 1);
  return { seen, held };
}
