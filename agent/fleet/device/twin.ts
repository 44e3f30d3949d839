import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import {
  activeModelSchema,
  desiredTwinSchema,
  settingsSchema,
  twinSchema,
} from '../../contracts/fleet-twin.ts';
import type { ActiveModel, Settings, Twin } from '../../contracts/fleet-twin.ts';
import { fileError } from '../../util/files.ts';
import { Lane } from '../../util/lane.ts';
import { readTwice, writeTwice } from '../../util/second-copy.ts';
import { canonicalJson } from '../protocol/canonical.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { topicFor } from '../protocol/topics.ts';
import type { UnverifiedDocument } from './incoming.ts';
import { refuse } from './refusals.ts';
import type { Refusal } from './refusals.ts';

/** The signed part of a document whose signatures, device, counter and expiry are in order. */
export type Verified = { readonly signed: unknown } | Refusal;

/** Checks who signed a document, and that it is for this device and still valid. Never throws. */
export type VerifyDocument = (
  document: UnverifiedDocument,
  type: 'twin' | 'job',
) => Promise<Verified>;

const storedSchema = z.object({
  v: z.literal(1),
  rev: z.int().nonnegative(),
  counter: z.int().nonnegative().nullable(),
  settings: settingsSchema,
  /** SHA-256 of the settings as that desired twin had them. */
  desired: z.string().nullable().default(null),
  activeModel: activeModelSchema.nullable(),
  lastBench: twinSchema.shape.lastBench,
});
type Stored = z.infer<typeof storedSchema>;

const EMPTY: Stored = {
  v: 1,
  rev: 0,
  counter: null,
  settings: {},
  desired: null,
  activeModel: null,
  lastBench: null,
};

/** Highest counters of signed documents that this device has taken, other than of the twin itself. */
export type ReadCounters = () => Omit<NonNullable<Twin['counters']>, 'twin'>;

export interface TwinStore {
  readonly settings: () => Settings;
  readonly message: (now: Date) => OutgoingMessage;
  /** Whether the counters of jobs have moved on by more than this since the last message. */
  readonly isBehind: (by: number) => boolean;
  /** Takes a desired twin over when it is verified and newer. True when anything has changed. */
  readonly accept: (
    document: UnverifiedDocument,
  ) => Promise<{ readonly changed: boolean } | Refusal>;
  /** Looks again at a desired twin that nobody could verify yet. */
  readonly retry: () => Promise<{ readonly changed: boolean } | Refusal>;
  /** Settings by another signed way than the twin; a newer twin replaces them. */
  readonly setSettings: (settings: Settings) => Promise<void>;
  readonly activeModel: () => ActiveModel | null;
  readonly setActiveModel: (model: ActiveModel | null) => Promise<void>;
  /** Of what runs here: a switch sets it anew. */
  readonly lastBench: () => Twin['lastBench'];
  readonly setLastBench: (bench: Twin['lastBench']) => Promise<void>;
}

/**
 * What the device reports of itself and which settings it was given, kept in `twin.json` and a copy of
 * it. Damage is told to `warn`; where both are damaged it is begun anew: the desired twin is retained
 * and comes again. A change counts once it is on the disk. Throws FileError.
 */
export async function openTwin(options: {
  readonly state: string;
  readonly deviceId: string;
  readonly verify: VerifyDocument;
  readonly warn: (message: string) => void;
  /** Absent: this agent takes no jobs. */
  readonly counters?: ReadCounters | undefined;
  /** The machine's clock; tests set it elsewhere. */
  readonly nowMs?: () => number;
}): Promise<TwinStore> {
  const { state, deviceId, verify, warn, counters, nowMs = Date.now } = options;
  const path = join(state, 'twin.json');
  const lane = new Lane();
  let stored = await readStored(path, warn, nowMs);
  let refused: Twin['settings']['refused'] = null;
  let postponed: UnverifiedDocument | null = null;
  let told: ReturnType<ReadCounters> | null = null;
  const change = async (part: Partial<Stored>) => {
    const leave = await lane.enter();
    try {
      const next = { ...stored, ...part, rev: Math.max(stored.rev + 1, revisionOf(nowMs())) };
      await writeTwice(path, `${JSON.stringify(next)}\n`).catch((error: unknown) => {
        throw fileError('write', path, error);
      });
      stored = next;
    } finally {
      leave();
    }
  };
  const accept = async (document: UnverifiedDocument) => {
    const wanted = await readDesired(document, verify, deviceId);
    postponed = 'refused' in wanted && wanted.refused === 'UNVERIFIED' ? document : null;
    if ('refused' in wanted) {
      refused = { counter: null, code: wanted.refused, text: wanted.why };
      return wanted;
    }
    const { counter, settings } = wanted.desired;
    if (stored.counter !== null && counter < stored.counter) {
      const why = `counter ${counter} is below ${stored.counter}, which is in force`;
      refused = { counter, code: 'OLDER', text: why };
      return refuse('OLDER', why);
    }
    const desired = digestOf(settings);
    if (counter === stored.counter && stored.desired !== null && desired !== stored.desired) {
      const why = `counter ${counter} is in force with other settings: use a higher one`;
      refused = { counter, code: 'ID_REUSE', text: why };
      return refuse('ID_REUSE', why);
    }
    refused = null;
    // It is retained and comes with every connection.
    if (counter === stored.counter) return { changed: false };
    await change({ counter, settings, desired });
    return { changed: true };
  };
  return {
    accept,
    retry: async () => (postponed === null ? { changed: false } : accept(postponed)),
    settings: () => stored.settings,
    message: (now) => {
      told = counters?.() ?? null;
      return twinMessage({ deviceId, stored, refused, counters: told, now });
    },
    isBehind: (by) => {
      const current = counters?.();
      if (told === null || current === undefined) return false;
      return current.job - told.job > by || current.epoch !== told.epoch;
    },
    setSettings: (settings) => change({ settings: { ...stored.settings, ...settings } }),
    activeModel: () => stored.activeModel,
    setActiveModel: (activeModel) => change({ activeModel }),
    lastBench: () => stored.lastBench,
    setLastBench: (lastBench) => change({ lastBench }),
  };
}

function digestOf(settings: Settings): string {
  return createHash('sha256').update(canonicalJson(settings)).digest('hex');
}

async function readDesired(document: UnverifiedDocument, verify: VerifyDocument, deviceId: string) {
  const verified = await verify(document, 'twin');
  if ('refused' in verified) return verified;
  const parsed = desiredTwinSchema.safeParse(verified.signed);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refuse(
      'BAD_FIELD',
      `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }
  if (parsed.data.deviceId !== deviceId)
    return refuse('FOREIGN_DEVICE', 'signed for another device');
  return { desired: parsed.data };
}

interface Told {
  readonly deviceId: string;
  readonly stored: Stored;
  readonly refused: Twin['settings']['refused'];
  readonly counters: ReturnType<ReadCounters> | null;
  readonly now: Date;
}

function twinMessage({ deviceId, stored, refused, counters, now }: Told): OutgoingMessage {
  const twin: Twin = {
    schema: 'edgefit/twin/1',
    deviceId,
    ts: now.toISOString(),
    rev: Math.max(1, stored.rev),
    activeModel: stored.activeModel,
    settings: { counter: stored.counter, applied: stored.settings, refused },
    ...(counters === null ? {} : { counters: { ...counters, twin: stored.counter ?? 0 } }),
    lastBench: stored.lastBench,
  };
  return {
    topic: topicFor('reportedTwin', { device: deviceId }),
    payload: JSON.stringify(twin),
    retain: true,
    schema: twin.schema,
  };
}

/**
 * Readers drop a lower revision than they know, and may know one of this device from before its disk was
 * erased or damaged: seconds of the clock are above what any count of changes has reached.
 */
function revisionOf(nowMs: number): number {
  return Math.max(0, Math.floor(nowMs / 1000));
}

async function readStored(
  path: string,
  warn: (message: string) => void,
  nowMs: () => number,
): Promise<Stored> {
  const found = await readTwice(path, (text) => storedSchema.parse(JSON.parse(text))).catch(
    (error: unknown) => {
      throw fileError('read', path, error);
    },
  );
  if (found.state === 'whole') return found.value;
  const anew = revisionOf(nowMs());
  if (found.state === 'from-copy') {
    warn(`${path} ${found.why}: its copy is used`);
    return { ...found.value, rev: Math.max(found.value.rev, anew) };
  }
  if (found.state === 'damaged') {
    warn(`${path} ${found.why}: settings are taken from the broker again`);
  }
  return { ...EMPTY, rev: anew };
}
