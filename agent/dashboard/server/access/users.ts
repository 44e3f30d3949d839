import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { roles } from '../../../contracts/dashboard.ts';
import { exclusively } from '../../../fleet/access/exclusive.ts';
import { codeOf, messageOf } from '../../../util/errors.ts';
import { fileError, makeFolder, writeFileDurably } from '../../../util/files.ts';
import { DashboardError } from '../error.ts';
import { isPasswordHash } from './passwords.ts';

/** Names of people: what every proxy and directory uses, and nothing that could be a path or markup. */
export const USER_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
export const USER_NAME_RULE = '1 to 64 of A-Z a-z 0-9 . _ @ and -, first a letter or a digit';

const userSchema = z.strictObject({
  name: z.string().regex(USER_NAME, `use ${USER_NAME_RULE}`),
  role: z.enum(roles),
  password: z.string().refine(isPasswordHash, 'it is no scrypt hash: agent dashboard user add'),
});
const fileSchema = z.strictObject({ users: z.array(userSchema).max(10_000) });

export type User = z.infer<typeof userSchema>;

/** Somebody who may read the hashes may guess passwords at leisure. */
const OTHERS = 0o077;
const MODE = 0o600;
/** How long a list is taken for the file's: `user remove` works on a running server. */
const FRESH_MS = 1000;

const bad = (path: string, why: string, cause?: unknown) =>
  new DashboardError('BAD_USERS', `${path}: ${why}`, { cause });

async function parseUsers(text: string, path: string): Promise<readonly User[]> {
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw bad(path, `it is not YAML (${messageOf(cause).split('\n')[0] ?? ''})`, cause);
  }
  const parsed = fileSchema.safeParse(value ?? { users: [] });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw bad(path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`);
  }
  const names = parsed.data.users.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw bad(path, `the user ${twice} is there twice`);
  return parsed.data.users;
}

/** The users in a file; none when there is no file. Throws DashboardError or FileError. */
export async function readUsers(path: string): Promise<readonly User[]> {
  try {
    const { mode } = await stat(path);
    if ((mode & OTHERS) !== 0) throw bad(path, `others may read it: chmod 600 ${path}`);
    return await parseUsers(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    if (error instanceof DashboardError) throw error;
    throw fileError('read', path, error);
  }
}

/** Replaces the file by one with these users. */
export async function writeUsers(path: string, users: readonly User[]): Promise<void> {
  const sorted = users.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  await writeFileDurably(path, `${JSON.stringify({ users: sorted }, null, 2)}\n`, MODE);
}

/**
 * Changes the users in the file, one command at a time: two that read the same list would each lose
 * what the other did. Throws DashboardError, AccessError (BUSY), FileError, and what `change` throws.
 */
export async function changeUsers(
  path: string,
  change: (users: readonly User[]) => readonly User[],
): Promise<void> {
  // What cannot be is told before anything is written.
  change(await readUsers(path));
  await makeFolder(dirname(path));
  await exclusively([path], async () => writeUsers(path, change(await readUsers(path))));
}

/** The users of a running server: looks at the file again when it has changed. */
export class Users {
  readonly #path: string;
  readonly #warn: (message: string) => void;
  #users = new Map<string, User>();
  #checkedMs = Number.NEGATIVE_INFINITY;
  #seen = '';

  constructor(path: string, warn: (message: string) => void) {
    this.#path = path;
    this.#warn = warn;
  }

  /** The user of that name now, or null. A file that went bad leaves those of before in place. */
  async find(name: string): Promise<User | null> {
    const now = performance.now();
    if (now - this.#checkedMs > FRESH_MS) {
      this.#checkedMs = now;
      await this.#refresh();
    }
    return this.#users.get(name) ?? null;
  }

  async #refresh(): Promise<void> {
    try {
      const seen = await stampOf(this.#path);
      if (seen === this.#seen) return;
      // Also where it cannot be read: one change is told once.
      this.#seen = seen;
      this.#users = new Map((await readUsers(this.#path)).map((user) => [user.name, user]));
    } catch (error) {
      this.#warn(messageOf(error));
    }
  }
}

async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeMs, ino, size, mode } = await stat(path);
    return `${mtimeMs}:${ino}:${size}:${mode}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'none';
    throw error;
  }
}
