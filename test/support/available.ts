/**
 * Tests that need something outside the repository: they run where it is there and are skipped
 * where it is not, unless `EDGEFIT_REQUIRE` (names, comma-separated) says that it must be there.
 */
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { describe, test } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../..');

/** Service programs often live where a user's PATH does not look. */
const PROGRAM_FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

/** Debian keeps the server's programs of each major version of PostgreSQL in a folder of its own. */
const POSTGRES = '/usr/lib/postgresql';

/** The folder with initdb and postgres, or undefined. */
export function postgresFolder(): string | undefined {
  if (!existsSync(POSTGRES)) return undefined;
  const versions = readdirSync(POSTGRES).toSorted((a, b) => Number(b) - Number(a));
  return versions
    .map((version) => join(POSTGRES, version, 'bin'))
    .find((folder) => existsSync(join(folder, 'initdb')));
}

/** The folder of real models and recorded boards beside the repository. */
export function sharedDir(...parts: readonly string[]): string {
  return resolve(ROOT, '../shared', ...parts);
}

/** The full path of an installed program, or undefined. */
export function programPath(name: string): string | undefined {
  return PROGRAM_FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

const PRESENT = {
  shared: () => existsSync(sharedDir()),
  mosquitto: () =>
    ['mosquitto', 'mosquitto_pub', 'mosquitto_sub'].every((name) => programPath(name)),
  openssl: () => programPath('openssl') !== undefined,
  cc: () => programPath('cc') !== undefined,
  'systemd-analyze': () => programPath('systemd-analyze') !== undefined,
  chromium: () => programPath('chromium') !== undefined,
  prometheus: () => ['prometheus', 'promtool'].every((name) => programPath(name)),
  postgres: () => postgresFolder() !== undefined,
  bash: () => programPath('bash') !== undefined,
  zsh: () => programPath('zsh') !== undefined,
  fish: () => programPath('fish') !== undefined,
} as const;

export type Resource = keyof typeof PRESENT;

/**
 * Whether a resource is there. Throws when `EDGEFIT_REQUIRE` names it and it is missing, so that a
 * machine that should run everything cannot pass by skipping.
 */
export function available(name: Resource): boolean {
  const mustBeHere = required().includes(name);
  const present = PRESENT[name]();
  if (!present && mustBeHere) {
    throw new Error(`EDGEFIT_REQUIRE names ${name}, but it is not here`);
  }
  return present;
}

function required(): string[] {
  const names = (process.env['EDGEFIT_REQUIRE'] ?? '').split(',').map((name) => name.trim());
  const unknown = names.filter((name) => name !== '' && !Object.hasOwn(PRESENT, name));
  if (unknown.length > 0)
    throw new Error(`EDGEFIT_REQUIRE: nothing is called ${unknown.join(', ')}`);
  return names;
}

/** `test`, or `test.skip` where one of the resources is missing. */
export function testIf(...names: readonly Resource[]): typeof test | typeof test.skip {
  return names.every(available) ? test : test.skip;
}

/** `describe`, or `describe.skip` where one of the resources is missing. */
export function describeIf(...names: readonly Resource[]): typeof describe | typeof describe.skip {
  return names.every(available) ? describe : describe.skip;
}
