import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';

export const requestMethods = ['ping', 'health', 'logtail', 'rebirth'] as const;

const id = z.string().regex(ID_PATTERN);

/** At `edgefit/v1/d/{id}/dn/req/{method}`, never retained. Answered at once or not at all. */
export const requestSchema = z
  .looseObject({
    schema: z.literal('edgefit/request/1'),
    id: id.describe('names the answer: the last level of its topic'),
    replyTo: z
      .string()
      .max(256)
      .optional()
      .describe('edgefit/v1/c/{controller}/rsp/{device}/{id}; or the response topic of MQTT 5'),
    expires: z.iso.datetime().optional().describe('not answered later than this'),
    lines: z.int().min(1).max(1000).optional().describe('logtail: at most this many'),
  })
  .describe('a short question to a device');

/** Why a message or a request was not acted upon. */
export const refusalCodes = [
  'BAD_TOPIC',
  'TOO_LARGE',
  'NOT_UTF8',
  'NOT_JSON',
  'TOO_DEEP',
  'UNKNOWN_SCHEMA',
  'BAD_FIELD',
  'RETAINED',
  'NO_REPLY_TOPIC',
  'BAD_REPLY_TOPIC',
  'UNKNOWN_METHOD',
  'FOREIGN_DEVICE',
  'EXPIRED',
  'UNVERIFIED',
  'UNSIGNED',
  'WRONG_TYPE',
  'REPLAYED',
  'STALE_EPOCH',
  'ID_REUSE',
  'OLDER',
  'BUSY',
  'UNSUPPORTED',
  'FAILED',
] as const;

export const refusalSchema = z.object({
  code: z.string().describe('one of the codes in docs/daemon.md; more may come'),
  text: z.string().describe('for people'),
});

/** At the topic that the request named. */
export const responseSchema = z
  .looseObject({
    schema: z.literal('edgefit/response/1'),
    id: id.describe('of the request'),
    deviceId: id,
    ts: z.iso.datetime({ precision: 3 }),
    ok: z.boolean(),
    result: z.record(z.string(), z.unknown()).nullable().describe('null when it is not ok'),
    error: refusalSchema.nullable().describe('null when it is ok'),
  })
  .describe("a device's answer to a request");

export type DeviceRequest = z.infer<typeof requestSchema>;
export type DeviceResponse = z.infer<typeof responseSchema>;
export type RefusalCode = (typeof refusalCodes)[number];
export type RequestMethod = (typeof requestMethods)[number];
