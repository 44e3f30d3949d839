import { createHash } from 'node:crypto';
import { readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { unsentSchema } from '../contracts/messages.ts';
import type { Unsent } from '../contracts/messages.ts';
import { codeOf } from '../util/errors.ts';
import { fileError, writeFileDurably } from '../util/files.ts';
import type { OutgoingMessage } from './protocol/outgoing.ts';

/**
 * Messages that no broker has acknowledged yet, one JSON file each in `unsent/` of the state
 * folder. Names sort by age. A retained message replaces an older one of the same topic, and beyond
 * MAX_UNSENT the oldest go, so a device that never comes online does not fill its card.
 */
export const MAX_UNSENT = 100;

export interface SaveResult {
  readonly folder: string;
  /** Older messages given up to stay within MAX_UNSENT. */
  readonly dropped: number;
}

export interface FlushResult {
  readonly sent: number;
  /** Files that hold no message, renamed to `.corrupt`. */
  readonly corrupt: readonly string[];
}

/**
 * Where this program keeps state: $EDGEFIT_STATE_DIR, else $XDG_STATE_HOME/edgefit, else
 * ~/.local/state/edgefit. Relative values of XDG_STATE_HOME are ignored, as its specification asks.
 */
export function stateFolder(env: Readonly<Record<string, string | undefined>>): string {
  const own = env['EDGEFIT_STATE_DIR'];
  if (own !== undefined && own !== '') return own;
  const xdg = env['XDG_STATE_HOME'];
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'edgefit');
  return join(env['HOME'] || homedir(), '.local', 'state', 'edgefit');
}

function unsentFolder(state: string): string {
  return join(state, 'unsent');
}

/** The topic's share of a file name: finds older messages of one topic without opening them. */
function topicTag(topic: string): string {
  return createHash('sha256').update(topic).digest('hex').slice(0, 16);
}

/** Names of the waiting messages, oldest first; none when the folder does not exist yet. */
async function listUnsent(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => /^\d[\w-]*\.json$/.test(name)).toSorted();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw fileError('read', folder, error);
  }
}

async function removeAll(folder: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => rm(join(folder, name), { force: true })));
}

/**
 * Keeps messages for `broker` (its display form, without credentials) until `flushUnsent`. They
 * are on the disk when this returns. Throws FileError.
 */
export async function saveUnsent(
  state: string,
  broker: string,
  messages: readonly OutgoingMessage[],
  now: Date,
): Promise<SaveResult> {
  const folder = unsentFolder(state);
  const before = await listUnsent(folder);
  const stamp = now.toISOString().replaceAll(/[-:.]/g, '');
  for (const [index, message] of messages.entries()) {
    const { topic, payload, retain, schema } = message;
    const unsent: Unsent = {
      schema: 'edgefit/unsent/1',
      broker,
      savedAt: now.toISOString(),
      message: { topic, payload, retain, schema },
    };
    const tag = topicTag(`${broker} ${topic}`);
    const order = String(index).padStart(3, '0');
    // oxlint-disable-next-line no-await-in-loop -- in order, so that a full disk keeps the first
    await writeFileDurably(join(folder, `${stamp}-${order}-${tag}.json`), JSON.stringify(unsent));
    const replaced = before.filter((name) => retain && name.endsWith(`-${tag}.json`));
    // oxlint-disable-next-line no-await-in-loop -- only after the newer one is on the disk
    await removeAll(folder, replaced);
  }
  const names = await listUnsent(folder);
  const excess = names.slice(0, Math.max(0, names.length - MAX_UNSENT));
  await removeAll(folder, excess);
  return { folder, dropped: excess.length };
}

/** The message in a file, null when it holds none. Throws FileError when it cannot be read. */
async function readUnsent(path: string): Promise<Unsent | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError('read', path, error);
  }
  try {
    const parsed = unsentSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    // Not JSON: the caller sets the file aside.
    return null;
  }
}

/**
 * Sends what waits for `broker`, oldest first, and removes each file once `publish` has returned.
 * Retained messages whose topic is in `superseded` are removed unsent: a newer one is out already.
 * What `publish` throws ends the flush and is passed on; that message and later ones stay.
 */
export async function flushUnsent(
  state: string,
  broker: string,
  publish: (message: OutgoingMessage) => Promise<void>,
  superseded: ReadonlySet<string> = new Set(),
): Promise<FlushResult> {
  const folder = unsentFolder(state);
  let sent = 0;
  const corrupt: string[] = [];
  for (const name of await listUnsent(folder)) {
    const path = join(folder, name);
    /* oxlint-disable no-await-in-loop -- oldest first, one at a time */
    const unsent = await readUnsent(path);
    if (unsent === null) {
      await rename(path, `${path}.corrupt`);
      corrupt.push(`${path}.corrupt`);
    } else if (unsent.broker === broker) {
      const { message } = unsent;
      const isOld = message.retain && superseded.has(message.topic);
      if (!isOld) await publish(message);
      if (!isOld) sent += 1;
      await rm(path, { force: true });
    }
    /* oxlint-enable no-await-in-loop */
  }
  return { sent, corrupt };
}
