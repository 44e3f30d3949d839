import { z } from 'zod';
import { precisions } from './facts.ts';
import { ID_PATTERN, telemetryStreams } from './ids.ts';

/**
 * At `edgefit/v1/d/{id}/up/tele/{stream}`: what has changed since the last message of the stream by
 * more than its dead band, and everything once in a while. Readers merge `values` into what they have.
 * Times are numbers here: there are many of these.
 */
export const telemetrySchema = z
  .looseObject({
    schema: z.literal('edgefit/telemetry/1'),
    deviceId: z.string().regex(ID_PATTERN),
    stream: z.enum(telemetryStreams),
    seq: z.int().positive().describe('grows within a stream and a boot of the agent'),
    ts: z.number().describe('milliseconds since 1970, by the clock of the device'),
    mono: z.number().describe('milliseconds since boot: orders what a wrong clock dated'),
    bootId: z.string().nullable(),
    full: z.boolean().describe('every metric of the stream is here'),
    model: z
      .object({ name: z.string(), version: z.string(), precision: z.enum(precisions) })
      .optional()
      .describe('of the stream infer: what was measured'),
    values: z
      .record(z.string(), z.number().nullable())
      .describe('by metric, units in the names; null: cannot be read any more'),
  })
  .describe('what a device measures of itself');

export type Telemetry = z.infer<typeof telemetrySchema>;
export type TelemetryStream = (typeof telemetryStreams)[number];
