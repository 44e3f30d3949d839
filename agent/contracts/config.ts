import { z } from 'zod';
import { ID_PATTERN, ID_RULE } from './ids.ts';

/**
 * The configuration of the daemon, as people write it in YAML. Every value has a default or may be
 * missing; unknown keys are refused, because a mistyped key that does nothing is found too late.
 * Secrets are never written here, only the files they are in.
 */

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export const mqttVersions = ['auto', '5', '3.1.1'] as const;

const file = z.string().min(1);
const id = z.string().regex(ID_PATTERN, { error: `use ${ID_RULE}` });
const seconds = (min: number, max: number) => z.number().min(min).max(max);

const WEEK_S = 7 * 24 * 3600;
/** Keep-alive and session expiry are 16 and 32 bits in MQTT; 2^32 - 1 would mean for ever. */
const MAX_KEEP_ALIVE_S = 65_535;
const MAX_EXPIRY_S = 4_294_967_294;
const MAX_TAGS = 32;

export const mqttConfigSchema = z.strictObject({
  url: z
    .string()
    .min(1)
    .optional()
    .describe('mqtt://, mqtts://, ws:// or wss://HOST[:PORT]; without it the daemon works alone'),
  user: z.string().min(1).max(65_535).optional().describe('user name at the broker'),
  passwordFile: file.optional().describe('file with the password'),
  caFile: file.optional().describe("CA of the broker, PEM (default: Node's list)"),
  certFile: file.optional().describe('client certificate, PEM; needs keyFile'),
  keyFile: file.optional().describe('key of the client certificate, PEM'),
  version: z.enum(mqttVersions).default('auto').describe('MQTT version; auto tries 5, then 3.1.1'),
  keepAliveSeconds: z
    .int()
    .min(5)
    .max(MAX_KEEP_ALIVE_S)
    .default(30)
    .describe('a silent connection is given up after 1.5 times this'),
  sessionExpirySeconds: z
    .int()
    .min(0)
    .max(MAX_EXPIRY_S)
    .default(WEEK_S)
    .describe('how long the broker keeps messages for this device while it is away (MQTT 5)'),
  timeoutSeconds: seconds(0.1, 3600).default(20).describe('longest wait for one answer'),
  reconnectMinSeconds: seconds(0.01, 3600)
    .default(1)
    .describe('first wait after a lost connection'),
  reconnectMaxSeconds: seconds(0.01, 86_400).default(120).describe('longest wait between attempts'),
});

export const outboxConfigSchema = z.strictObject({
  maxMessages: z.int().min(1).max(1_000_000).default(10_000).describe('kept while offline'),
  maxBytes: z
    .int()
    .min(1024)
    .max(1024 ** 4)
    .default(16 * 1024 * 1024)
    .describe('of their payloads together'),
});

const YEAR_HOURS = 24 * 365;

export const modelsConfigSchema = z.strictObject({
  repository: z
    .url({ protocol: /^https?$/, error: 'use http://HOST/... or https://HOST/...' })
    .optional()
    .describe('address of the signed model repository; without it nothing is deployed here'),
  refreshHours: z
    .number()
    .min(0.01)
    .max(YEAR_HOURS)
    .default(24)
    .describe('how often its metadata is looked at when nothing is announced'),
  switchCommand: z
    .string()
    .min(1)
    .optional()
    .describe('shell command after a switch; $EDGEFIT_MODEL and $EDGEFIT_MODEL_FILE say which'),
  healthCommand: z
    .string()
    .min(1)
    .optional()
    .describe('shell command that fails while the application is not well with the new model'),
  commandSeconds: seconds(0.1, 600).default(30).describe('longest time for one of these commands'),
  lockFile: file.optional().describe('no job begins to change anything while this file is there'),
});

const WEEK_MINUTES = 7 * 24 * 60;

/** Cron lines are checked where the configuration is read: five fields, or six with seconds first. */
const schedule = z.string().min(1).max(100);

export const telemetryConfigSchema = z.strictObject({
  schedule: schedule
    .default('*/10 * * * * *')
    .describe('when to sample, as a cron line with seconds; off: never'),
  fullMinutes: z
    .number()
    .min(0.01)
    .max(WEEK_MINUTES)
    .default(60)
    .describe('how often every value is sent, whether it has changed or not'),
  historyMinutes: z
    .number()
    .min(0)
    .max(WEEK_MINUTES)
    .default(5)
    .describe('pause between samples that are kept while offline; 0: none is'),
  benchSchedule: schedule
    .default('0 3 * * *')
    .describe('when to measure the latency of the deployed models; off: never'),
  driftSchedule: schedule
    .default('0 4 * * 0')
    .describe('when to measure their accuracy, too, on the stored samples; off: never'),
  jitterMinutes: z
    .number()
    .min(0)
    .max(720)
    .default(30)
    .describe('these wait a random time up to so long, so that a fleet does not act as one'),
  benchSeconds: z
    .number()
    .min(1)
    .max(3600)
    .default(120)
    .describe('longest time for one measurement; what takes longer is ended'),
  waitMinutes: z
    .number()
    .min(0)
    .max(1440)
    .default(60)
    .describe('how long a lock, heat or weak power may put a measurement off'),
  maxP90Ratio: z
    .number()
    .min(1)
    .max(1000)
    .default(1.5)
    .describe('p90 by p90 at deployment; above it a model drifts'),
  maxAccuracyDrop: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe('of the task metric since deployment; above it a model drifts'),
  samplesBytes: z
    .int()
    .min(0)
    .max(1024 ** 4)
    .default(64 * 1024 * 1024)
    .describe('evaluation samples of a package are kept for drift checks up to this; 0: never'),
});

export const metricsConfigSchema = z.strictObject({
  listen: z
    .string()
    .regex(/^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, { error: 'use HOST:PORT' })
    .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) < 65_536, 'use HOST:PORT')
    .optional()
    .describe('address of GET /metrics for Prometheus, such as 127.0.0.1:9464; off without it'),
});

const MIB = 1024 * 1024;
/** Longer ones are not read by who calibrates. */
const MAX_SAMPLE_BYTES = 256 * MIB;

export const calibrationConfigSchema = z.strictObject({
  record: z
    .boolean()
    .default(false)
    .describe(
      'applications may hand their inputs over, by a local socket; they stay on this device',
    ),
  maxSamples: z.int().min(1).max(100_000).default(256).describe('kept of each model'),
  maxBytes: z
    .int()
    .min(1024)
    .max(1024 ** 4)
    .default(64 * MIB)
    .describe('on the disk, of each model'),
  maxSampleBytes: z
    .int()
    .min(1)
    .max(MAX_SAMPLE_BYTES)
    .default(16 * MIB)
    .describe('of one sample'),
  maxPerSecond: z
    .number()
    .min(0.001)
    .max(1000)
    .default(10)
    .describe('samples of a model that are looked at; the others are passed over'),
  socketFile: file.optional().describe('default: record.sock in the runtime folder'),
});

export const configSchema = z
  .strictObject({
    deviceId: id
      .optional()
      .describe(`name of this device: ${ID_RULE} (default: from its machine id)`),
    tags: z
      .array(id)
      .max(MAX_TAGS)
      .default([])
      .describe('for selecting devices in rollouts, such as site-a'),
    logLevel: z.enum(logLevels).default('info'),
    stateDir: file
      .optional()
      .describe('default: $STATE_DIRECTORY, else the state folder of the user'),
    runtimeDir: file
      .optional()
      .describe('default: $RUNTIME_DIRECTORY, else run/ in the state folder'),
    mqtt: mqttConfigSchema.prefault({}),
    outbox: outboxConfigSchema.prefault({}),
    models: modelsConfigSchema.prefault({}),
    telemetry: telemetryConfigSchema.prefault({}),
    metrics: metricsConfigSchema.prefault({}),
    calibration: calibrationConfigSchema.prefault({}),
  })
  .describe('configuration of agent run: /etc/edgefit/agent.yaml');

export type Config = z.infer<typeof configSchema>;
export type CalibrationConfig = z.infer<typeof calibrationConfigSchema>;
export type ModelsConfig = z.infer<typeof modelsConfigSchema>;
export type TelemetryConfig = z.infer<typeof telemetryConfigSchema>;
export type MqttConfig = z.infer<typeof mqttConfigSchema>;
export type LogLevel = (typeof logLevels)[number];
