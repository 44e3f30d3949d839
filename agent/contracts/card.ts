import { z } from 'zod';
import { precisions, runtimeNames } from './facts.ts';
import { ID_PATTERN } from './ids.ts';

/**
 * The birth in short. It is retained in one of 64 topics a device, so that somebody who comes later can
 * read a fleet shard by shard: a broker with a bounded queue for each client (mosquitto: 1,000) drops
 * what is retained beyond it when one subscription asks for everything.
 */
export const cardSchema = z
  .looseObject({
    schema: z.literal('edgefit/card/1'),
    deviceId: z.string().regex(ID_PATTERN),
    ts: z.iso.datetime({ precision: 3 }),
    session: z.int().positive(),
    agent: z.string().min(1),
    class: z.string().describe('id of the hardware profile: devices of one class decide alike'),
    board: z.string().describe('name of the board, for people'),
    arch: z.string(),
    tags: z.array(z.string().regex(ID_PATTERN)),
    precisions: z.array(z.enum(precisions)),
    runtimes: z.array(z.enum(runtimeNames)),
    accelerators: z.array(z.string()),
    memoryBytes: z.number().nonnegative(),
    jobTypes: z.array(z.string()),
    keyIds: z.array(z.string()).describe('of the keys whose signatures it accepts'),
  })
  .describe('what a device is, in short');

export type Card = z.infer<typeof cardSchema>;
