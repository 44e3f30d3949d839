import { z } from 'zod';

export const configCheckSchema = z.object({
  schema: z.literal('edgefit/config-check/1'),
  file: z.string().nullable().describe('null: there is no file, everything is default'),
  ok: z.boolean(),
  problems: z.array(
    z.object({
      where: z.string().describe('file or environment variable'),
      line: z.int().positive().nullable(),
      column: z.int().positive().nullable(),
      key: z.string().describe('such as mqtt.url; empty for the whole'),
      message: z.string(),
    }),
  ),
});

export const configShowSchema = z.object({
  schema: z.literal('edgefit/config-show/1'),
  file: z.string().nullable(),
  values: z.array(
    z.object({
      key: z.string(),
      value: z.unknown().describe('secrets are never shown, only the files they are in'),
      from: z.string().describe('default, FILE:LINE, env NAME, credential NAME or agent enrol'),
    }),
  ),
});

export type ConfigCheck = z.infer<typeof configCheckSchema>;
export type ConfigShow = z.infer<typeof configShowSchema>;
