import { z } from 'zod';

const file = z.string().min(1);
const MIB = 1024 * 1024;

/** Every key can be overridden by an option of `agent dashboard`. */
export const dashboardConfigSchema = z
  .strictObject({
    mqtt: z
      .strictObject({
        url: z.string().min(1).optional().describe('mqtt://, mqtts://, ws:// or wss://HOST[:PORT]'),
        user: z.string().min(1).optional(),
        passwordFile: file.optional(),
        caFile: file.optional(),
        certFile: file.optional(),
        keyFile: file.optional(),
        timeoutSeconds: z.number().positive().max(3600).optional(),
      })
      .prefault({}),
    listen: z
      .string()
      .min(1)
      .default('127.0.0.1:8080')
      .describe('HOST:PORT; port 0 takes one that is free'),
    publicUrl: z.string().min(1).optional().describe('how browsers call it, behind a proxy'),
    insecure: z.boolean().default(false).describe('listen to a network without TLS'),
    tls: z.strictObject({ certFile: file.optional(), keyFile: file.optional() }).prefault({}),
    stateDir: file.optional().describe('users and history'),
    usersFile: file.optional().describe('users.json in stateDir where it is not given'),
    keyFiles: z.array(file).max(16).default([]).describe('sign what operators do; none: read only'),
    passphraseFile: file.optional(),
    proxy: z
      .strictObject({
        header: z.string().min(1).optional().describe('names the user; believed from `from` only'),
        from: z
          .array(z.string())
          .max(32)
          .default([])
          .describe(
            'addresses or networks of the proxy, whose X-Forwarded-For and -Proto count too',
          ),
        operators: z.array(z.string()).max(1000).default([]).describe('users who may act'),
      })
      .prefault({}),
    session: z
      .strictObject({
        idleMinutes: z.number().positive().default(120),
        hours: z.number().positive().max(720).default(12),
      })
      .prefault({}),
    history: z
      .strictObject({
        rawDays: z.number().positive().max(366).default(2).describe('values as they came'),
        days: z.number().positive().max(3660).default(30).describe('then in steps of 5 minutes'),
        maxBytes: z
          .number()
          .min(16 * MIB)
          .default(2 * 1024 * MIB),
        postgresUrl: z.string().min(1).optional().describe('PostgreSQL instead of stateDir'),
        postgresPasswordFile: file.optional(),
      })
      .prefault({}),
  })
  .describe('configuration of the dashboard');

export type DashboardConfig = z.infer<typeof dashboardConfigSchema>;
export type DashboardConfigInput = z.input<typeof dashboardConfigSchema>;
