import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';

export const eventSeverities = ['info', 'warning', 'error'] as const;

/** At `edgefit/v1/d/{id}/up/event/{type}`: something an operator should know of; through the outbox. */
export const eventSchema = z
  .looseObject({
    schema: z.literal('edgefit/event/1'),
    deviceId: z.string().regex(ID_PATTERN),
    type: z.string().regex(ID_PATTERN).describe('as in the topic, such as drift'),
    code: z.string().describe('what exactly: latency_drift, accuracy_drift, drift_over'),
    severity: z.enum(eventSeverities),
    text: z.string(),
    ts: z.iso.datetime({ precision: 3 }),
    mono: z.number().describe('milliseconds since boot'),
    bootId: z.string().nullable(),
    facts: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
  })
  .describe('something that happened on a device');

export type FleetEvent = z.infer<typeof eventSchema>;
