// Limits of the control group that this process lives in, versions 1 and 2. Every ancestor's limit
// holds too, so the smallest of them counts. In a container the group's own path is often not
// visible; the limits are then on the top folder.
import { listFolder, readFact, readOptional, type Reading } from './facts-log.ts';
import { parseInteger, parsePositive, parseSomeCpus } from './parse.ts';
import type { Tree } from './tree.ts';

const MOUNT = '/sys/fs/cgroup';
/** Version 1 writes "no limit" as the largest page-aligned number; pages may be 4 to 64 KiB. */
const NO_LIMIT = 2 ** 62;

/** The type of the file system at /sys/fs/cgroup decides: `cgroup2`, or `tmpfs` for version 1. */
export async function cgroupVersion(reading: Reading): Promise<1 | 2 | null> {
  const { tree } = reading;
  // What was mounted last hides what is below.
  const mounted = (await mountsOf(tree)).findLast(({ where }) => where === MOUNT);
  if (mounted !== undefined) return mounted.type === 'cgroup2' ? 2 : 1;
  const any = async (names: readonly string[]) =>
    (await Promise.all(names.map((name) => tree.exists(`${MOUNT}/${name}`)))).includes(true);
  if (await any(['cgroup.controllers', 'memory.max', 'cpu.max'])) return 2;
  return (await any(['memory', 'cpu', 'cpu,cpuacct', 'cpuset'])) ? 1 : null;
}

interface Mount {
  readonly where: string;
  readonly type: string;
  readonly options: readonly string[];
}

async function mountsOf(tree: Tree): Promise<readonly Mount[]> {
  const text =
    (await readOptional(tree, '/proc/mounts')) ?? (await readOptional(tree, '/proc/self/mounts'));
  return (text ?? '').split('\n').map((line) => {
    const [, where = '', type = '', options = ''] = line.split(' ');
    return { where, type, options: options.split(',') };
  });
}

/** Where version 1 keeps a controller: its own mount, which several may share (`cpu,cpuacct`). */
async function mountOf(reading: Reading, controller: string, fact: string): Promise<string> {
  const mounted = (await mountsOf(reading.tree)).find(
    ({ type, options }) => type === 'cgroup' && options.includes(controller),
  );
  if (mounted !== undefined) return mounted.where;
  const folders = await listFolder(reading, fact, MOUNT, /^[\w,=-]+$/);
  const shared = folders.find((name) => name.split(',').includes(controller));
  return `${MOUNT}/${shared ?? controller}`;
}

/** Folders to look into for a controller, from our own group up to the top. */
async function foldersOf(
  reading: Reading,
  controller: string,
  fact: string,
): Promise<readonly string[]> {
  const version = await cgroupVersion(reading);
  if (version === null) return [];
  const top = version === 2 ? MOUNT : await mountOf(reading, controller, fact);
  const groups = (await readOptional(reading.tree, '/proc/self/cgroup')) ?? '';
  const own = groups.split('\n').find((line) => {
    const [, controllers = ''] = line.split(':');
    return version === 2 ? line.startsWith('0::') : controllers.split(',').includes(controller);
  });
  // Groups outside our namespace show up as /../..; their files are not visible.
  const parts = (own?.split(':')[2] ?? '')
    .split('/')
    .filter((part) => part !== '' && part !== '..');
  return parts.map((_, at) => `${top}/${parts.slice(0, parts.length - at).join('/')}`).concat(top);
}

async function smallest<T>(
  reading: Reading,
  fact: string,
  folders: readonly string[],
  read: (folder: string) => Promise<{ readonly path: string; readonly value: T } | null>,
  size: (value: T) => number,
): Promise<{ readonly path: string; readonly value: T } | null> {
  const found = [];
  for (const folder of folders) {
    // oxlint-disable-next-line no-await-in-loop -- in order, so that the notes are too
    const limit = await read(folder);
    if (limit !== null) found.push(limit);
  }
  const [least] = found.toSorted((a, b) => size(a.value) - size(b.value));
  if (least === undefined) reading.sources.delete(fact);
  else reading.sources.set(fact, least.path);
  return least ?? null;
}

/** The memory limit in bytes, or null when there is none. */
export async function readMemoryLimit(reading: Reading): Promise<number | null> {
  const fact = 'memory.limitBytes';
  const name = (await cgroupVersion(reading)) === 2 ? 'memory.max' : 'memory.limit_in_bytes';
  const read = async (folder: string) => {
    const path = `${folder}/${name}`;
    const value = await readFact(reading, fact, path, parseLimit, { optional: true });
    return value === null || value >= NO_LIMIT ? null : { path, value };
  };
  const folders = await foldersOf(reading, 'memory', fact);
  return (await smallest(reading, fact, folders, read, (bytes) => bytes))?.value ?? null;
}

function parseLimit(text: string): number {
  return text.trim() === 'max' ? Number.POSITIVE_INFINITY : parsePositive(text);
}

/** CPU time the group may use, in cores (1.5 = one and a half), or null when there is no quota. */
export async function readCpuQuota(
  reading: Reading,
): Promise<{ readonly cores: number; readonly path: string } | null> {
  const fact = 'cpu.quota';
  const version = await cgroupVersion(reading);
  const read = async (folder: string) => {
    const path = version === 2 ? `${folder}/cpu.max` : `${folder}/cpu.cfs_quota_us`;
    const value =
      version === 2
        ? await readFact(reading, fact, path, parseCpuMax, { optional: true })
        : await readQuotaV1(reading, fact, folder, path);
    return value === null || value === Number.POSITIVE_INFINITY ? null : { path, value };
  };
  const least = await smallest(
    reading,
    fact,
    await foldersOf(reading, 'cpu', fact),
    read,
    (n) => n,
  );
  return least === null ? null : { cores: least.value, path: least.path };
}

/** `cpu.max` is "QUOTA PERIOD" in microseconds, or "max PERIOD". */
function parseCpuMax(text: string): number {
  const [quota = '', period = ''] = text.trim().split(/\s+/);
  if (quota === 'max') return Number.POSITIVE_INFINITY;
  return parsePositive(quota) / parsePositive(period);
}

async function readQuotaV1(
  reading: Reading,
  fact: string,
  folder: string,
  path: string,
): Promise<number | null> {
  const optional = { optional: true };
  const quota = await readFact(reading, fact, path, parseInteger, optional);
  // -1: no quota.
  if (quota === null || quota <= 0) return null;
  const period = await readFact(
    reading,
    fact,
    `${folder}/cpu.cfs_period_us`,
    parsePositive,
    optional,
  );
  return period === null ? null : quota / period;
}

/** The CPUs of our cpuset, or null when there is none. */
export async function readCpuset(
  reading: Reading,
): Promise<{ readonly cpus: readonly number[]; readonly path: string } | null> {
  const { tree } = reading;
  const names =
    (await cgroupVersion(reading)) === 2
      ? ['cpuset.cpus.effective']
      : ['cpuset.effective_cpus', 'cpuset.cpus'];
  // The effective list is already cut by the ancestors': the nearest one that can be read holds.
  for (const folder of await foldersOf(reading, 'cpuset', 'cpu.cpuset')) {
    for (const name of names) {
      const path = `${folder}/${name}`;
      // oxlint-disable-next-line no-await-in-loop -- the first one wins
      if (!(await tree.exists(path))) continue;
      // oxlint-disable-next-line no-await-in-loop -- the first one wins
      const cpus = await readFact(reading, 'cpu.cpuset', path, parseSomeCpus);
      return cpus === null ? null : { cpus, path };
    }
  }
  return null;
}
