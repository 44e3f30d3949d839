import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Config } from '../contracts/config.ts';
import { messageOf } from '../util/errors.ts';
import { fileError } from '../util/files.ts';
import { configLeaves, overridesFrom } from './environment.ts';
import type { Environment, Override } from './environment.ts';
import { ConfigError } from './error.ts';
import type { ConfigProblem } from './error.ts';
import { validate, valueAt } from './issues.ts';
import type { Issue } from './issues.ts';
import { checkRelations } from './relations.ts';
import { checkSchedules } from './schedules.ts';
import { MAX_CONFIG_BYTES, parseYaml } from './yaml-text.ts';
import type { KeyPath, ParsedText } from './yaml-text.ts';

/** Where a value came from: `default`, `FILE:LINE` or `env NAME`. */
export interface Origin {
  readonly key: string;
  readonly value: unknown;
  readonly from: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read; null when there is none and everything is default or environment. */
  readonly file: string | null;
  /** Every key that has a value, in the order of the schema. */
  readonly origins: readonly Origin[];
  /** Makes the error of a problem that is found later, when files are read. */
  readonly problem: (path: KeyPath, message: string) => ConfigProblem;
}

export interface LoadOptions {
  /** As given with --config. */
  readonly file?: string | undefined;
  readonly env: Environment;
}

const SYSTEM_FILE = '/etc/edgefit/agent.yaml';

/**
 * The configuration file: --config, $EDGEFIT_CONFIG, agent.yaml in systemd's
 * $CONFIGURATION_DIRECTORY, /etc/edgefit/agent.yaml, or the user's own; null when none is there.
 */
export function findConfigFile({ file, env }: LoadOptions): string | null {
  if (file !== undefined) return file;
  const named = env['EDGEFIT_CONFIG'];
  if (named !== undefined && named !== '') return named;
  const [folder = ''] = (env['CONFIGURATION_DIRECTORY'] ?? '').split(':');
  const xdg = env['XDG_CONFIG_HOME'] ?? '';
  const own = isAbsolute(xdg) ? xdg : join(env['HOME'] || homedir(), '.config');
  const places = [
    ...(folder === '' ? [] : [join(folder, 'agent.yaml')]),
    SYSTEM_FILE,
    join(own, 'edgefit', 'agent.yaml'),
  ];
  return places.find((path) => existsSync(path)) ?? null;
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    // A larger one is refused by the parser, with its reason; it need not be read for that.
    return size > MAX_CONFIG_BYTES
      ? ' '.repeat(MAX_CONFIG_BYTES + 1)
      : await readFile(file, 'utf8');
  } catch (error) {
    const message = messageOf(fileError('read', file, error));
    throw new ConfigError([{ where: file, line: null, column: null, key: '', message }], error);
  }
}

function overlay(value: unknown, overrides: readonly Override[]): unknown {
  let result = value;
  for (const override of overrides) result = withValue(result, override.path, override.value);
  return result;
}

function withValue(value: unknown, path: KeyPath, inner: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return inner;
  // What is no mapping is refused by the schema, where it stands.
  if (
    value !== undefined &&
    (typeof value !== 'object' || value === null || Array.isArray(value))
  ) {
    return value;
  }
  const entries = new Map(Object.entries(value ?? {}));
  entries.set(String(step), withValue(entries.get(String(step)), rest, inner));
  return Object.fromEntries(entries);
}

const startsWith = (path: KeyPath, start: KeyPath): boolean =>
  start.every((step, at) => path[at] === step);

/** Reads file and environment. Throws ConfigError with everything that is wrong, not just the first. */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const file = findConfigFile(options);
  const text: ParsedText | null = file === null ? null : parseYaml(await readText(file), file);
  const overrides = overridesFrom(options.env);
  const problem = (path: KeyPath, message: string): ConfigProblem => {
    const override = overrides.find((one) => startsWith(path, one.path));
    const key = path.map(String).join('.');
    if (override !== undefined || text === null || file === null) {
      const where = override === undefined ? 'configuration' : override.variable;
      return { where, line: null, column: null, key, message };
    }
    return { where: file, ...text.locate(path), key, message };
  };
  const refusal = (issues: readonly Issue[]) =>
    new ConfigError(issues.map(({ path, message }) => problem(path, message)));
  const checked = validate(overlay(text?.value ?? {}, overrides));
  if ('issues' in checked) throw refusal(checked.issues);
  const { config } = checked;
  const issues = [...checkRelations(config), ...(await checkSchedules(config))];
  if (issues.length > 0) throw refusal(issues);
  return { config, file, problem, origins: originsOf(config, file, text, overrides) };
}

function originsOf(
  config: Config,
  file: string | null,
  text: ParsedText | null,
  overrides: readonly Override[],
): readonly Origin[] {
  return configLeaves.flatMap(({ path, variable }): readonly Origin[] => {
    const value = valueAt(config, path);
    if (value === undefined) return [];
    const key = path.join('.');
    if (overrides.some((one) => one.variable === variable))
      return [{ key, value, from: `env ${variable}` }];
    if (text === null || file === null || valueAt(text.value, path) === undefined) {
      return [{ key, value, from: 'default' }];
    }
    return [{ key, value, from: `${file}:${text.locate(path).line}` }];
  });
}
