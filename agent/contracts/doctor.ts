import { z } from 'zod';

export const checkStates = ['ok', 'failed', 'skipped'] as const;
/** What a check comes to: an error is essential, a warning is not. */
export const checkLevels = ['ok', 'warning', 'error', 'skipped'] as const;
export const checkSeverities = ['essential', 'optional'] as const;

export const checkSchema = z.object({
  id: z.string().describe('stable name of the condition, e.g. tflite'),
  title: z.string(),
  severity: z.enum(checkSeverities).describe('essential: without it the agent cannot do its work'),
  state: z.enum(checkStates).describe('skipped: something that it depends on has failed'),
  level: z.enum(checkLevels),
  found: z.string().describe('what was found, or what is wrong'),
  mend: z.string().nullable().describe('what to do about it; null when there is nothing to do'),
  facts: z.record(z.string(), z.string()).describe('what was found, by name: version, path, ...'),
});

export const doctorSchema = z.object({
  schema: z.literal('edgefit/doctor/1'),
  agent: z.string().describe('version of the agent'),
  healthy: z.boolean().describe('no essential check has failed or was skipped'),
  checks: z.array(checkSchema),
});

export type DoctorReport = z.infer<typeof doctorSchema>;
export type CheckResult = z.infer<typeof checkSchema>;
