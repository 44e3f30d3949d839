import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ID_PATTERN } from '../../contracts/ids.ts';
import { move, removeDurably, replaceFile } from '../../util/durable.ts';
import { AgentError, codeOf, messageOf } from '../../util/errors.ts';
import { makeFolderDurably } from '../../util/files.ts';
import { entrySchema, isTerminal, MAX_WRITES, type Entry } from './entry.ts';

/** Finished jobs that are remembered, to answer a document that comes again. */
const MAX_FINISHED = 200;
const SUFFIX = '.json';
/**
 * Progress is told and not written, once a second at most: after a crash `seq` goes on above all that a
 * phase may have told, or readers would drop what comes as older.
 */
const MAX_TOLD = 1_000_000;

export type JournalErrorCode = 'WRITE' | 'LOOP';

/** The journal cannot be kept: nothing may be acted upon. */
export class JournalError extends AgentError {
  override readonly name = 'JournalError';

  constructor(code: JournalErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(code, message, { ...options, kind: 'failure' });
  }
}

/** The jobs of a device, one plain file each, written whole and synced before anything is done. */
export class Journal {
  readonly #folder: string;
  readonly #entries = new Map<string, Entry>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Reads what a former run left. A file that cannot be read is set aside as `.corrupt` and named: its
   * job is unknown again and comes again with the next connection, its document being retained.
   */
  static async open(
    folder: string,
    onCorrupt: (file: string, why: string) => void,
  ): Promise<Journal> {
    const journal = new Journal(folder);
    await makeFolderDurably(folder);
    for (const name of (await readdir(folder)).toSorted()) {
      // oxlint-disable-next-line no-await-in-loop -- a few small files
      await journal.#load(name, onCorrupt);
    }
    return journal;
  }

  get(jobId: string): Entry | undefined {
    return this.#entries.get(jobId);
  }

  /** All jobs, by their `order`. */
  all(): readonly Entry[] {
    return [...this.#entries.values()].toSorted((a, b) => a.order - b.order);
  }

  /** The order number of the next job. */
  nextOrder(): number {
    return Math.max(0, ...[...this.#entries.values()].map(({ order }) => order)) + 1;
  }

  /** Writes an entry; it is on the disk when this resolves. Throws JournalError. */
  async write(entry: Entry): Promise<Entry> {
    const counted = { ...entry, writes: entry.writes + 1 };
    if (counted.writes > MAX_WRITES && !isTerminal(entry)) {
      throw new JournalError('LOOP', `job ${idOf(entry)} was written ${MAX_WRITES} times: a loop`);
    }
    const path = this.#path(idOf(entry));
    try {
      await replaceFile(path, JSON.stringify(counted));
    } catch (cause) {
      throw new JournalError('WRITE', `cannot write ${path}: ${messageOf(cause)}`, { cause });
    }
    this.#entries.set(idOf(entry), counted);
    return counted;
  }

  /** Keeps what need not be on the disk: how far a phase is. */
  note(entry: Entry): void {
    this.#entries.set(idOf(entry), entry);
  }

  /** Forgets the oldest finished jobs beyond MAX_FINISHED; `before` is told of each, and may refuse. */
  async trim(before: (entry: Entry) => Promise<void>): Promise<void> {
    const finished = this.all().filter(isTerminal);
    for (const entry of finished.slice(0, Math.max(0, finished.length - MAX_FINISHED))) {
      // oxlint-disable-next-line no-await-in-loop -- one or two
      await before(entry);
      // oxlint-disable-next-line no-await-in-loop -- see above
      await removeDurably(this.#path(idOf(entry)));
      this.#entries.delete(idOf(entry));
    }
  }

  #path(jobId: string): string {
    return join(this.#folder, `${jobId}${SUFFIX}`);
  }

  async #load(name: string, onCorrupt: (file: string, why: string) => void): Promise<void> {
    const path = join(this.#folder, name);
    if (name.startsWith('.')) return removeDurably(path);
    const jobId = name.slice(0, -SUFFIX.length);
    if (!name.endsWith(SUFFIX) || !ID_PATTERN.test(jobId)) return;
    try {
      const entry = entrySchema.parse(JSON.parse(await readFile(path, 'utf8')));
      if (idOf(entry) !== jobId) throw new Error(`it is of job ${idOf(entry)}`);
      this.#entries.set(jobId, isTerminal(entry) ? entry : aboveTold(entry));
    } catch (error) {
      if (codeOf(error) === 'EIO') throw new JournalError('WRITE', `cannot read ${path}: EIO`);
      await move(path, `${path}.corrupt`);
      onCorrupt(path, messageOf(error));
    }
  }
}

function aboveTold(entry: Entry): Entry {
  return { ...entry, record: { ...entry.record, seq: entry.record.seq + MAX_TOLD } };
}

function idOf(entry: Entry): string {
  return entry.document.jobId;
}
