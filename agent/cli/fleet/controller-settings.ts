import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parseYaml } from '../../config/yaml-text.ts';
import { listenSchema } from '../../contracts/config.ts';
import { ID_PATTERN, ID_RULE } from '../../contracts/ids.ts';
import { readNamedText } from '../../util/read.ts';
import { UsageError } from '../errors.ts';
import type { MqttOptions } from '../mqtt-options.ts';
import { MAX_KEPT } from './kept.ts';

/** What commander makes of the options. */
export interface ControllerFlags extends MqttOptions {
  readonly config?: string;
  readonly id?: string;
  readonly repository?: string;
  readonly root?: string;
  readonly key?: string;
  readonly passphraseFile?: string;
  readonly state?: string;
  readonly postgres?: string;
  readonly metrics?: string;
  readonly keepRollouts?: number;
  readonly keepDays?: number;
}

/** What a controller cannot do without. */
export interface ControllerSettings extends ControllerFlags {
  readonly id: string;
  readonly mqtt: string;
  readonly repository: string;
  readonly key: string;
  readonly state: string;
}

const text = z.string().min(1);

/** The same as a file. */
const fileSchema = z.strictObject({
  id: text.optional(),
  mqtt: z
    .strictObject({
      url: text.optional(),
      user: text.optional(),
      passwordFile: text.optional(),
      ca: text.optional(),
      cert: text.optional(),
      key: text.optional(),
      timeoutSeconds: z.number().positive().optional(),
    })
    .optional(),
  repository: text.optional(),
  root: text.optional(),
  key: text.optional(),
  passphraseFile: text.optional(),
  state: text.optional(),
  postgres: text.optional(),
  metrics: listenSchema.optional(),
  keep: z
    .strictObject({
      rollouts: z.int().min(1).max(MAX_KEPT).optional(),
      days: z.int().min(1).max(MAX_KEPT).optional(),
    })
    .optional(),
});

const POSTGRES_VARIABLE = 'EDGEFIT_POSTGRES_URL';
/** systemd makes it for a service with StateDirectory=. */
const STATE_VARIABLE = 'STATE_DIRECTORY';

/**
 * Options over configuration file over environment. Throws UsageError, ConfigError and FileError,
 * naming what is missing.
 */
export async function controllerSettings(
  flags: ControllerFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ControllerSettings> {
  const file = flags.config === undefined ? {} : await readConfig(flags.config);
  const fromEnv = given({ postgres: env[POSTGRES_VARIABLE], state: env[STATE_VARIABLE] });
  const all: ControllerFlags = { ...fromEnv, ...file, ...given({ ...flags }) };
  const id = all.id ?? defaultId(all.state ?? '');
  if (!ID_PATTERN.test(id)) throw new UsageError(`--id ${JSON.stringify(id)}: use ${ID_RULE}`);
  const { mqtt, repository, key, state } = all;
  if (all.metrics !== undefined && !listenSchema.safeParse(all.metrics).success) {
    throw new UsageError(`--metrics ${JSON.stringify(all.metrics)}: use HOST:PORT`);
  }
  if (mqtt === undefined) throw missing('--mqtt URL', 'the broker of the fleet');
  if (repository === undefined) throw missing('--repository URL', 'the signed repository');
  if (key === undefined) throw missing('--key FILE', 'the key that it signs jobs with');
  if (state === undefined) throw missing('--state DIR', 'a folder for what it must remember');
  checkUrl('--repository', repository, ['http:', 'https:'], 'https://HOST/PATH');
  if (all.postgres !== undefined) {
    checkUrl('--postgres', all.postgres, ['postgres:', 'postgresql:'], 'postgres://HOST/DATABASE');
  }
  return { ...all, id, mqtt, repository, key, state };
}

const MAX_ID = 64;

/** By host and state folder: two on one machine must not take each other's connection. */
function defaultId(state: string): string {
  const host = hostname().replaceAll(/[^A-Za-z0-9._-]/g, '-');
  const own = createHash('sha256').update(resolve(state)).digest('hex').slice(0, 6);
  return `${`controller-${host}`.slice(0, MAX_ID - own.length - 1)}-${own}`;
}

/** Never shows the text: it may hold a password. Throws UsageError. */
function checkUrl(flag: string, url: string, protocols: readonly string[], like: string): void {
  if (URL.canParse(url) && protocols.includes(new URL(url).protocol)) return;
  throw new UsageError(`${flag}: not a URL of this kind: write ${like}`);
}

function missing(flag: string, what: string): UsageError {
  return new UsageError(`a controller needs ${what}: give ${flag}, or put it into --config FILE`);
}

async function readConfig(path: string): Promise<ControllerFlags> {
  const content = await readNamedText(path);
  const { value, locate } = parseYaml(content, path);
  const parsed = fileSchema.safeParse(value ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const key = (issue?.path ?? []).filter((part) => typeof part !== 'symbol');
    const { line } = locate(key);
    throw new UsageError(`${path}:${line}: ${key.join('.')}: ${issue?.message ?? 'not as needed'}`);
  }
  const { mqtt = {}, keep = {}, ...rest } = parsed.data;
  const beside = (file: string | undefined) =>
    file === undefined ? undefined : resolve(dirname(path), file);
  return given({
    ...rest,
    root: beside(rest.root),
    key: beside(rest.key),
    passphraseFile: beside(rest.passphraseFile),
    state: beside(rest.state),
    mqtt: mqtt.url,
    mqttUser: mqtt.user,
    mqttPasswordFile: beside(mqtt.passwordFile),
    mqttCa: beside(mqtt.ca),
    mqttCert: beside(mqtt.cert),
    mqttKey: beside(mqtt.key),
    mqttTimeout: mqtt.timeoutSeconds?.toString(),
    keepRollouts: keep.rollouts,
    keepDays: keep.days,
  });
}

/** Without what is not given, so that it hides nothing below it. */
function given(values: Readonly<Record<string, string | number | undefined>>): ControllerFlags {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
