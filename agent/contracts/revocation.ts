import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';

const id = z.string().regex(ID_PATTERN);
const timestamp = z.iso.datetime({ precision: 3 });

/**
 * Retained at `edgefit/v1/d/{id}/dn/revoked` for as long as a device is shut out. Controllers and
 * dashboards leave it out; the broker's ACL is what shuts it out.
 */
export const revocationSchema = z
  .looseObject({
    schema: z.literal('edgefit/revocation/1'),
    deviceId: id,
    ts: timestamp,
    reason: z.string().max(500).nullable(),
    actor: z.string().max(200).nullable().describe('who did it'),
    replacedBy: id.nullable().describe('the device that took its place'),
  })
  .describe('a device is shut out');

/** The list an operator keeps: what `agent fleet acl` denies. */
export const revokedListSchema = z
  .object({
    schema: z.literal('edgefit/revoked-list/1'),
    devices: z.array(revocationSchema),
  })
  .describe('the devices that are shut out');

export type Revocation = z.infer<typeof revocationSchema>;
export type RevokedList = z.infer<typeof revokedListSchema>;
