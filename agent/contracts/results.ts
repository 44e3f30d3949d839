import { z } from 'zod';
import { deviceDecisionSchema } from './device-decision.ts';
import { statusSchema } from './fleet-status.ts';
import { twinSchema } from './fleet-twin.ts';
import { ID_PATTERN } from './ids.ts';
import { jobRecordSchema } from './job.ts';
import { birthSchema } from './messages.ts';

/** What commands print with `--json` that is no message or file of its own. */

const id = z.string().regex(ID_PATTERN);

export const enrolledSchema = z
  .object({
    schema: z.literal('edgefit/enrol/1'),
    deviceId: id,
    user: z.string().nullable().describe('null: a certificate says who it is'),
    request: z.string().nullable().describe('path of the certificate request'),
    written: z.array(z.string()).describe('paths; none when everything was there already'),
    hasCertificate: z.boolean(),
    hasRoot: z.boolean().describe('whether it trusts a repository yet'),
  })
  .describe('the identity of a device');

/** Loose: whatever else is known of a device may be added. */
export const fleetDeviceSchema = z
  .looseObject({
    schema: z.literal('edgefit/fleet-device/1'),
    deviceId: id,
    status: statusSchema.nullable(),
    birth: birthSchema.nullable(),
    twin: twinSchema.nullable(),
    jobs: z.array(jobRecordSchema).describe('the newest first'),
    decisions: z.array(deviceDecisionSchema).describe('of each model that it runs'),
  })
  .describe('what the broker keeps of a device');

const shutOut = {
  deviceId: id,
  revoked: z.boolean().describe('false: it was let in again, or its name goes on'),
  cleared: z.int().nonnegative().describe('messages that the broker kept of it'),
  archive: z.string().nullable().describe('the file that they are in now'),
  todo: z.array(z.string()).describe('what somebody still has to do'),
};

export const revokedSchema = z
  .object({ schema: z.literal('edgefit/revoked/1'), ...shutOut })
  .describe('a device that was shut out');

export const replacedSchema = z
  .object({
    schema: z.literal('edgefit/replaced/1'),
    ...shutOut,
    replacedBy: id,
    handedOver: z
      .object({ settings: z.record(z.string(), z.unknown()), counter: z.int().nonnegative() })
      .nullable()
      .describe('null: there were no settings to hand over'),
  })
  .describe('a device that another board took the place of');

export const dashboardUsersSchema = z
  .object({
    schema: z.literal('edgefit/dashboard-users/1'),
    users: z.array(z.object({ name: z.string(), role: z.enum(['viewer', 'operator']) })),
  })
  .describe('who may log in to the dashboard');

export type Enrolled = z.infer<typeof enrolledSchema>;
export type RevokedReport = z.infer<typeof revokedSchema>;
export type ReplacedReport = z.infer<typeof replacedSchema>;
export type DashboardUsers = z.infer<typeof dashboardUsersSchema>;
