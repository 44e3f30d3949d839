import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DecisionRow, DeviceDecision } from '../../contracts/device-decision.ts';
import type { DecisionRecord } from '../../contracts/fit.ts';
import type { Release } from '../../contracts/release.ts';
import { Slots } from '../../deploy/slots/slots.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { topicFor } from '../protocol/topics.ts';

/** Beside the model in a release: what was chosen, and what it was measured against. */
export const RECORD_FILE = 'decision.json';

/** It must fit into a message of 128 KiB, and thousands of devices have one. */
const MAX_ROWS = 24;
const MAX_REASON = 200;

/** What was tried and why it was not taken, in short: this is what an operator has of it later. */
export function decisionTable({ bench, chosen }: DecisionRecord): DecisionRow[] {
  const { candidates } = bench;
  const first = candidates.slice(0, MAX_ROWS);
  const own = candidates.find(({ id }) => id === chosen.id);
  // However long the table is, it has what was chosen.
  const rows =
    own === undefined || first.includes(own) ? first : [...first.slice(0, MAX_ROWS - 1), own];
  return rows.map((row) => ({
    id: row.id,
    verdict: row.verdict,
    why: row.reason.slice(0, MAX_REASON),
    bytes: row.bytes,
    p90Ms: row.latencyMs?.p90 ?? null,
    sqnrDb: row.fidelity?.sqnrDb ?? null,
    accuracyDrop: row.accuracy?.drop ?? null,
  }));
}

/** Whose samples decided the ranges, and how many. */
export function calibrationOf({ bench: { samples } }: DecisionRecord) {
  const { calibration, recorded } = samples;
  if (recorded?.used === true) return { source: 'recorded' as const, samples: calibration };
  const source = calibration === 0 ? ('none' as const) : ('package' as const);
  return { source, samples: calibration };
}

/** What a release was measured to be when it was fitted, or null where nothing is known of that. */
export async function readDecision(releaseFolder: string): Promise<DecisionRecord | null> {
  try {
    const text = await readFile(join(releaseFolder, RECORD_FILE), 'utf8');
    // A device without a model does without the memory of these schemas.
    const { decisionSchema } = await import('../../contracts/fit.ts');
    return decisionSchema.parse(JSON.parse(text));
  } catch {
    // Whether a release is whole is checked elsewhere; without a record it only has no history.
    return null;
  }
}

/**
 * Tells what was chosen of a model that runs; without a release or a record, takes away what was told
 * before. Throws TopicError on a bad id.
 */
export function decisionMessage(
  deviceId: string,
  model: string,
  decided: { readonly release: Release; readonly record: DecisionRecord } | null,
): OutgoingMessage {
  return {
    topic: topicFor('decision', { device: deviceId, model }),
    payload: decided === null ? '' : JSON.stringify(documentOf(deviceId, decided)),
    retain: true,
    schema: 'edgefit/device-decision/1',
  };
}

function documentOf(
  deviceId: string,
  { release, record }: { readonly release: Release; readonly record: DecisionRecord },
): DeviceDecision {
  const { id, precision, method, runtime, threads, bytes, reason } = record.chosen;
  return {
    schema: 'edgefit/device-decision/1',
    deviceId,
    ts: new Date().toISOString(),
    model: release.model,
    version: release.version,
    releaseCounter: release.releaseCounter,
    digest: release.digest,
    decidedAt: record.decidedAt,
    agent: record.agent,
    chosen: {
      id,
      precision,
      method,
      runtime,
      threads,
      bytes,
      reason: reason.slice(0, MAX_REASON),
    },
    calibration: calibrationOf(record),
    table: decisionTable(record),
  };
}

/** What is to be told of a model after it was switched, or on a new connection. */
export async function decisionOf(
  deviceId: string,
  models: string,
  model: string,
): Promise<OutgoingMessage> {
  const slots = new Slots(models, model);
  const digest = await slots.current();
  if (digest === null) return decisionMessage(deviceId, model, null);
  const record = await readDecision(slots.releaseFolder(digest));
  const decided = record === null ? null : { release: await slots.read(digest), record };
  // A switch meanwhile has told its own, which this one must not overtake.
  if ((await slots.current()) !== digest) return decisionOf(deviceId, models, model);
  return decisionMessage(deviceId, model, decided);
}

/** The same of every model that is or was on this device. */
export async function* decisionsIn(
  deviceId: string,
  models: string,
): AsyncIterable<OutgoingMessage> {
  for (const model of await readdir(models).catch(() => [])) {
    // What is no model, or cannot be read, has nothing to tell.
    // oxlint-disable-next-line no-await-in-loop -- each is made when it is asked for
    const message = await decisionOf(deviceId, models, model).catch(() => null);
    if (message !== null) yield message;
  }
}
