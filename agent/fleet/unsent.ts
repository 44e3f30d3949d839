import { createHash } from 'node:crypto';
import { readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { unsentSchema } from '../contracts/messages.ts';
import type { Unsent } from '../contracts/messages.ts';
import { codeOf, messageOf } from '../util/errors.ts';
import { fileError, writeFileDurably } from '../util/files.ts';
import type { OutgoingMessage } from './protocol/outgoing.ts';
import { ReportError, type ReportErrorCode } from './report-error.ts';

/**
 * Messages that no broker has acknowledged yet, one JSON file each in `unsent/` of the state
 * folder. Names sort by age. A retained message replaces an older one of the same topic, and beyond
 * MAX_UNSENT the oldest go, so a device that never comes online does not fill its card. What can
 * never be sent is set aside as `.refused` or `.corrupt`, at most MAX_ASIDE files.
 */
export const MAX_UNSENT = 100;
export const MAX_ASIDE = 20;

/** What a broker will say of the same message the next time, too. */
const REFUSALS: readonly ReportErrorCode[] = ['REFUSED', 'NOT_AUTHORIZED', 'TOO_LARGE'];

export interface SaveResult {
  readonly folder: string;
  /** Older messages given up to stay within MAX_UNSENT. */
  readonly dropped: number;
}

export interface FlushResult {
  readonly sent: number;
  /** Files that hold no message, renamed to `.corrupt`. */
  readonly corrupt: readonly string[];
  /** Messages that the broker will never take, renamed to `.refused`, and what it said. */
  readonly refused: readonly { readonly path: string; readonly why: string }[];
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

const WAITING = /^\d[\w-]*\.json$/;
const ASIDE = /^\d[\w-]*\.json\.(refused|corrupt)$/;

/** Names of this form, oldest first; none when the folder does not exist yet. */
async function listNames(folder: string, form: RegExp): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => form.test(name)).toSorted();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw fileError('read', folder, error);
  }
}

async function removeAll(folder: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => rm(join(folder, name), { force: true })));
}

/** Removes the oldest of this form beyond `most`; says how many. */
async function dropOldest(folder: string, form: RegExp, most: number): Promise<number> {
  const names = await listNames(folder, form);
  const excess = names.slice(0, Math.max(0, names.length - most));
  await removeAll(folder, excess);
  return excess.length;
}

/**
 * Keeps messages for `broker` (its display form, without credentials) until `flushUnsent`, or for
 * people to find when they can never be sent (`as` refused). They are on the disk when this
 * returns. Throws FileError.
 */
export async function saveUnsent(
  state: string,
  broker: string,
  messages: readonly OutgoingMessage[],
  now: Date,
  as: 'waiting' | 'refused' = 'waiting',
): Promise<SaveResult> {
  const folder = unsentFolder(state);
  const suffix = as === 'waiting' ? '' : '.refused';
  const before = await listNames(folder, WAITING);
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
    const path = join(folder, `${stamp}-${order}-${tag}.json${suffix}`);
    // oxlint-disable-next-line no-await-in-loop -- in order, so that a full disk keeps the first
    await writeFileDurably(path, JSON.stringify(unsent));
    const replaced = before.filter((name) => retain && name.endsWith(`-${tag}.json`));
    // oxlint-disable-next-line no-await-in-loop -- only after the newer one is on the disk
    await removeAll(folder, replaced);
  }
  await dropOldest(folder, ASIDE, MAX_ASIDE);
  return { folder, dropped: await dropOldest(folder, WAITING, MAX_UNSENT) };
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
 * A message that `publish` says the broker refuses is set aside, so that it does not hold up the
 * others. Anything else that `publish` throws ends the flush and is passed on; that message and
 * later ones stay.
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
  const refused: { path: string; why: string }[] = [];
  for (const name of await listNames(folder, WAITING)) {
    const path = join(folder, name);
    /* oxlint-disable no-await-in-loop -- oldest first, one at a time */
    const unsent = await readUnsent(path);
    if (unsent === null) {
      await rename(path, `${path}.corrupt`);
      corrupt.push(`${path}.corrupt`);
    } else if (unsent.broker === broker) {
      const { message } = unsent;
      const isOld = message.retain && superseded.has(message.topic);
      const why = isOld ? null : await refusalOf(() => publish(message));
      if (why === null) {
        await rm(path, { force: true });
        if (!isOld) sent += 1;
      } else {
        await rename(path, `${path}.refused`);
        refused.push({ path: `${path}.refused`, why });
      }
    }
    /* oxlint-enable no-await-in-loop */
  }
  await dropOldest(folder, ASIDE, MAX_ASIDE);
  return { sent, corrupt, refused };
}

/** What the broker said when it refused for good, null when it took the message. */
async function refusalOf(publish: () => Promise<void>): Promise<string | null> {
  try {
    await publish();
    return null;
  } catch (error) {
    if (error instanceof ReportError && REFUSALS.includes(error.code)) return messageOf(error);
    throw error;
  }
}
