import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';

export const deviceStates = ['online', 'offline', 'draining'] as const;
export const offlineCauses = ['stopped', 'lost'] as const;

const timestamp = z.iso.datetime({ precision: 3 });

/**
 * Retained at `edgefit/v1/d/{id}/up/status`, and the same topic is the will. A broker may deliver the
 * will of an old connection after the status of a new one, so who reads compares `session`: an
 * `offline` of a lower session than the last `online` is history. It comes again every 60 s, so one
 * that is older than a few minutes is of a device whose broker forgot to say that it is gone.
 */
export const statusSchema = z
  .looseObject({
    schema: z.literal('edgefit/status/1'),
    deviceId: z.string().regex(ID_PATTERN),
    state: z.enum(deviceStates).describe('draining: it finishes what it does and then stops'),
    session: z.int().positive().describe('one more with every connection of this device, for ever'),
    bootId: z.string().nullable().describe('changes with every boot of the machine'),
    since: timestamp.describe('when this session began, by the clock of the device'),
    ts: timestamp.nullable().describe('when this message was made; null in a will'),
    agent: z.string().min(1).describe('version of the agent'),
    cause: z
      .enum(offlineCauses)
      .nullable()
      .describe('of offline: stopped by somebody, or lost (the will); otherwise null'),
  })
  .describe('whether a device is there');

export type Status = z.infer<typeof statusSchema>;
export type DeviceState = (typeof deviceStates)[number];
export type OfflineCause = (typeof offlineCauses)[number];
