import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { DeviceFacts, RuntimeName } from '../contracts/facts.ts';
import { profileSchema, type HardwareProfile, type ProfileMatch } from '../contracts/profile.ts';
import { messageOf } from '../util/errors.ts';
import { fileError } from '../util/files.ts';
import { shippedPath } from '../util/paths.ts';
import { genericBoard } from './board-ids.ts';
import { HardwareError } from './error.ts';

const SCHEMA_FILE = 'schema.json';

/** The JSON Schema of a profile file, as hardware-profiles/schema.json holds it. */
export function profileJsonSchema(): object {
  return z.toJSONSchema(profileSchema, { io: 'input' });
}

/** Where a user keeps profiles of boards that the program does not know. */
const OWN_FOLDER = 'EDGEFIT_PROFILES';

/**
 * The profiles shipped with the program, and those in the folder that EDGEFIT_PROFILES names: one with
 * the id of a shipped one replaces it. Raises as `loadProfiles` does.
 */
export async function knownProfiles(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<readonly HardwareProfile[]> {
  const shipped = await loadProfiles();
  const folder = env[OWN_FOLDER] ?? '';
  if (folder === '') return shipped;
  const own = await loadProfiles(folder);
  const replaced = new Set(own.map(({ id }) => id));
  return [...shipped.filter(({ id }) => !replaced.has(id)), ...own];
}

/**
 * Reads every profile in a folder, by default those shipped with the program. Raises a
 * HardwareError that names the file and the field of a broken one.
 */
export async function loadProfiles(
  folder: string = shippedPath('hardware-profiles'),
): Promise<readonly HardwareProfile[]> {
  const names = await listProfiles(folder);
  const profiles = await Promise.all(names.map((name) => loadProfile(join(folder, name))));
  for (const [at, { id }] of profiles.entries()) {
    const first = profiles.findIndex((other) => other.id === id);
    if (first !== at)
      throw badProfile(
        join(folder, names[at] ?? ''),
        `id: "${id}" is also that of ${names[first]}`,
      );
  }
  return profiles;
}

async function listProfiles(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => name.endsWith('.json') && name !== SCHEMA_FILE).toSorted();
  } catch (error) {
    throw fileError('read', folder, error);
  }
}

async function loadProfile(path: string): Promise<HardwareProfile> {
  let text = '';
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError('read', path, error);
  }
  return parseProfile(path, text);
}

/** Checks the content of a profile file; `path` is for the message. */
export function parseProfile(path: string, text: string): HardwareProfile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badProfile(path, `it is not JSON: ${messageOf(error)}`);
  }
  const checked = profileSchema.safeParse(value);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw badProfile(
    path,
    `${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'is not a profile'}`,
  );
}

function badProfile(path: string, what: string): HardwareError {
  return new HardwareError('BAD_PROFILE', `bad hardware profile ${path}: ${what}`);
}

/** Whether every rule holds. */
function matches(match: ProfileMatch, facts: DeviceFacts): boolean {
  const { features, arch } = facts.cpu;
  const has = (name: string) => features.includes(name);
  const kinds = facts.accelerators.map(({ kind }) => kind);
  return (
    (match.boards.length === 0 || match.boards.includes(facts.board.id)) &&
    (match.compatible.length === 0 || namesBoard(match, facts)) &&
    match.accelerators.every((kind) => kinds.includes(kind)) &&
    match.requiresFeatures.every(has) &&
    (match.requiresAnyFeature.length === 0 || match.requiresAnyFeature.some(has)) &&
    !match.lacksFeatures.some(has) &&
    (match.arch === undefined || match.arch === arch)
  );
}

function namesBoard(match: ProfileMatch, { board }: DeviceFacts): boolean {
  return match.compatible.some((entry) => board.compatible.includes(entry));
}

/**
 * The board, with the id of a profile that names it by its compatible string where the program has
 * none of its own: that is how a file adds a board.
 */
export function boardBy(profile: HardwareProfile, facts: DeviceFacts): DeviceFacts['board'] {
  const { board, cpu } = facts;
  const known = board.id !== genericBoard(cpu.arch);
  return known || !namesBoard(profile.match, facts) ? board : { ...board, id: profile.id };
}

/** Architectures that a runtime is published for; those that are not named run everywhere. */
const PUBLISHED: ReadonlyMap<RuntimeName, readonly string[]> = new Map([
  ['onnxruntime', ['arm64', 'x64']],
  ['tensorrt', ['arm64', 'x64']],
]);

/** A board's runtimes that exist for the system on it: a Pi 4 may run a 32-bit kernel. */
export function runtimesFor(profile: HardwareProfile, arch: string): RuntimeName[] {
  return profile.runtimes.filter((runtime) => isPublished(runtime, arch));
}

/** Whether there is a build of a runtime for an architecture; true where that is not known. */
export function isPublished(runtime: RuntimeName, arch: string): boolean {
  return arch === 'unknown' || (PUBLISHED.get(runtime)?.includes(arch) ?? true);
}

/** What makes one match more specific than another, the weightiest first. */
const SPECIFICITY: readonly ((match: ProfileMatch, facts: DeviceFacts) => number)[] = [
  (match) => (match.boards.length + match.compatible.length > 0 ? 1 : 0),
  closeness,
  (match) => match.accelerators.length,
  (match) => match.requiresFeatures.length,
  (match) => (match.requiresAnyFeature.length > 0 ? 1 : 0),
  (match) => match.lacksFeatures.length,
  (match) => (match.arch === undefined ? 0 : 1),
];

/**
 * A device tree begins with the board and ends with its SoC, which other boards share: the earlier the
 * string that a profile names, the closer it is. A board id stands for the board itself: 0.
 */
function closeness(match: ProfileMatch, { board }: DeviceFacts): number {
  if (match.boards.length > 0 || match.compatible.length === 0) return 0;
  return -board.compatible.findIndex((entry) => match.compatible.includes(entry));
}

function bySpecificity(facts: DeviceFacts) {
  return (a: HardwareProfile, b: HardwareProfile): number => {
    for (const count of SPECIFICITY) {
      const difference = count(b.match, facts) - count(a.match, facts);
      if (difference !== 0) return difference;
    }
    return a.id.localeCompare(b.id, 'en');
  };
}

/** The most specific of the profiles that match. Raises a HardwareError when none does. */
export function matchProfile(
  facts: DeviceFacts,
  profiles: readonly HardwareProfile[],
): HardwareProfile {
  const [best] = profiles
    .filter((profile) => matches(profile.match, facts))
    .toSorted(bySpecificity(facts));
  if (best !== undefined) return best;
  const machine = `${facts.board.id} (${facts.cpu.arch})`;
  throw new HardwareError(
    'NO_PROFILE',
    `no hardware profile fits ${machine}: add one to hardware-profiles`,
  );
}
