import { z } from 'zod';
import { desiredTwinSchema, twinSchema, type Settings } from '../../contracts/fleet-twin.ts';
import { signedDocumentSchema } from '../../contracts/signed.ts';
import type { Arrival, OperatorChannel } from '../operator/channel.ts';
import { readDevice, type DeviceView } from '../operator/device.ts';
import { readPayload, readRetained } from '../operator/wait.ts';
import { signDocument, type Signer } from '../protocol/signed.ts';
import { TOPIC_ROOT, topicFor } from '../protocol/topics.ts';

/** The settings of another device may be old; these are signed anew, for ten years. */
const VALID_MS = 10 * 365 * 86_400_000;

export interface Handover {
  readonly settings: Settings;
  readonly counter: number;
}

/**
 * Gives a device the settings of the one it replaces: what an operator wanted it to have, and its tags,
 * wherever it had them from. With the tags it is selected by the same rollouts. Null where there is
 * nothing to hand over. Throws OperatorError when the broker keeps nothing of the old one.
 */
export async function handOver(
  channel: OperatorChannel,
  from: string,
  to: string,
  { signers, now = new Date() }: { readonly signers: readonly Signer[]; readonly now?: Date },
): Promise<Handover | null> {
  const old = await readDevice(channel, from);
  const settings = settingsOf(old);
  if (Object.keys(settings).length === 0) return null;
  const counter = (await takenBy(channel, to)) + 1;
  const signed = {
    type: 'twin' as const,
    deviceId: to,
    counter,
    expires: new Date(now.getTime() + VALID_MS).toISOString(),
    settings,
  };
  await channel.publish({
    topic: topicFor('desiredTwin', { device: to }),
    payload: JSON.stringify(signDocument(signed, signers)),
    retain: true,
    schema: 'edgefit/signed/1',
  });
  return { settings, counter };
}

const desiredDocumentSchema = signedDocumentSchema.extend({ signed: desiredTwinSchema });

/** Wanted settings first, else what the device has applied; tags from its birth where neither names any. */
function settingsOf({ deviceId, kept, twin, birth }: DeviceView): Settings {
  const topic = topicFor('desiredTwin', { device: deviceId });
  const desired = desiredOf(kept, topic)?.settings;
  const settings = desired ?? twin?.settings.applied ?? {};
  const tags = settings.tags ?? birth?.tags ?? [];
  return { ...settings, ...(tags.length === 0 ? {} : { tags: [...tags] }) };
}

function desiredOf(kept: readonly Arrival[], topic: string) {
  const arrival = kept.find((one) => one.topic === topic);
  return arrival === undefined
    ? null
    : (readPayload(desiredDocumentSchema, arrival)?.signed ?? null);
}

/** The highest counter of settings that a device may have taken; 0 of one that has never been there. */
async function takenBy(channel: OperatorChannel, deviceId: string): Promise<number> {
  const kept = await readRetained(channel, [`${TOPIC_ROOT}/d/${deviceId}/+/twin`]);
  const counters = kept.map((arrival) => {
    const twin = readPayload(twinSchema, arrival);
    if (twin !== null) return Math.max(twin.counters?.twin ?? 0, twin.settings.counter ?? 0);
    return readPayload(documentCounterSchema, arrival)?.signed.counter ?? 0;
  });
  return Math.max(0, ...counters);
}

const documentCounterSchema = z.object({ signed: z.object({ counter: z.int().nonnegative() }) });
