import type { Facts } from '../contracts/facts.ts';
import { TRIPLETS } from './accelerator.ts';
import { readClocks } from './cpufreq.ts';
import { readCpuQuota, readCpuset } from './cgroup.ts';
import { archOf, featuresOf, modelOf, parseCpuinfo, vendorOf, type Cpuinfo } from './cpuinfo.ts';
import { nonsense } from './error.ts';
import { foundFact, missFact, readFact, type Reading } from './facts-log.ts';
import { parseCpuList, parseSomeCpus } from './parse.ts';

const CPUINFO = '/proc/cpuinfo';
const STATUS = '/proc/self/status';
const CPU_FOLDER = '/sys/devices/system/cpu';

/** Where a root file system keeps the loader of its architecture. */
const LOADERS: readonly (readonly [arch: string, path: string])[] = [
  ['arm64', '/lib/ld-linux-aarch64.so.1'],
  ['x64', '/lib64/ld-linux-x86-64.so.2'],
  ['arm', '/lib/ld-linux-armhf.so.3'],
  ['ia32', '/lib/ld-linux.so.2'],
  ['riscv64', '/lib/ld-linux-riscv64-lp64d.so.1'],
];

/**
 * Reads the CPU: architecture, names, cores, features, clocks.
 * @param programs the architecture of our own process, where this is its machine
 */
export async function readCpu(reading: Reading, programs?: string): Promise<Facts['cpu']> {
  const fact = <T>(name: string, of: (info: Cpuinfo) => T) =>
    readFact(reading, `cpu.${name}`, CPUINFO, (text) => of(parseCpuinfo(text)));
  const arch = (await fact('arch', archOf)) ?? (await archOfFiles(reading)) ?? 'unknown';
  const features = await fact('features', featuresOf);
  const vendor = await fact('vendor', vendorOf);
  const model = await fact('model', modelOf);
  const online = await readOnline(reading);
  const coresUsable = await readUsable(reading, online);
  const clocks = await readClocks(reading, online ?? [0]);
  const userland = programs ?? (await archOfPrograms(reading, arch));
  return {
    arch,
    vendor,
    model,
    coresOnline: online?.length ?? null,
    coresUsable,
    features: [...(features ?? [])],
    ...clocks,
    ...(userland === arch || arch === 'unknown' ? {} : { userland }),
  };
}

/** The 32-bit programs that a 64-bit kernel runs. */
const NARROWER = new Map([
  ['arm64', 'arm'],
  ['x64', 'ia32'],
]);

/**
 * What the programs of a recording were built for: a 32-bit Raspberry Pi OS runs on a 64-bit kernel,
 * and then only 32-bit libraries load. Where both are installed, that of the kernel.
 */
async function archOfPrograms({ tree }: Reading, arch: string): Promise<string> {
  const narrower = NARROWER.get(arch);
  if (narrower === undefined) return arch;
  const triplets = [...TRIPLETS].map(([of, triplet]) => [of, `/usr/lib/${triplet}`] as const);
  for (const places of [new Map(LOADERS), new Map(triplets)]) {
    const [own, other] = [places.get(arch) ?? '', places.get(narrower) ?? ''];
    // oxlint-disable-next-line no-await-in-loop -- the folders only tell where no loader does
    if (own === '' || other === '' || (await tree.exists(own))) return arch;
    // oxlint-disable-next-line no-await-in-loop -- see above
    if (await tree.exists(other)) return narrower;
  }
  return arch;
}

async function archOfFiles(reading: Reading): Promise<string | null> {
  for (const [arch, path] of LOADERS) {
    // oxlint-disable-next-line no-await-in-loop -- five questions, the first yes wins
    if (await reading.tree.exists(path)) {
      foundFact(reading, 'cpu.arch', path);
      return arch;
    }
  }
  return null;
}

/** Numbers of the online CPUs; those in cpuinfo when sysfs does not say. */
async function readOnline(reading: Reading): Promise<readonly number[] | null> {
  const fact = 'cpu.coresOnline';
  const listed = await readFact(reading, fact, `${CPU_FOLDER}/online`, parseSomeCpus);
  if (listed !== null) return listed;
  const why = reading.unknown.get(fact) ?? '';
  const counted = await readFact(reading, fact, CPUINFO, (text) =>
    parseSomeCpus(
      parseCpuinfo(text)
        .cores.map((core) => core.get('processor'))
        .join(','),
    ),
  );
  if (counted === null) missFact(reading, fact, `${why}; ${reading.unknown.get(fact) ?? ''}`);
  return counted;
}

/**
 * Cores that threads of ours can run on at once: online, not isolated from the scheduler, in our
 * cpuset and affinity, and no more than the cgroup quota pays for (which may be a fraction).
 */
async function readUsable(
  reading: Reading,
  online: readonly number[] | null,
): Promise<number | null> {
  const fact = 'cpu.coresUsable';
  if (online === null) {
    missFact(reading, fact, 'the online cores are not known');
    return null;
  }
  copySource(reading, 'cpu.coresOnline', fact);
  const optional = { optional: true };
  const isolated =
    (await readFact(reading, 'cpu.isolated', `${CPU_FOLDER}/isolated`, parseCpuList, optional)) ??
    [];
  const cpuset = await readCpuset(reading);
  const affinity = await readAffinity(reading);
  const inCpuset = online.filter((cpu) => cpuset?.cpus.includes(cpu) ?? true);
  const allowed = inCpuset.filter((cpu) => affinity?.includes(cpu) ?? true);
  const schedulable = allowed.filter((cpu) => !isolated.includes(cpu));
  // Who was put on isolated cores runs there. A recording made in parts can contradict itself; then
  // the online cores stand.
  const cores = schedulable.length || allowed.length || online.length;
  if (cpuset !== null && cores < online.length) foundFact(reading, fact, cpuset.path);
  if (allowed.length > 0 && allowed.length < inCpuset.length) foundFact(reading, fact, STATUS);
  const quota = await readCpuQuota(reading);
  if (quota === null || quota.cores >= cores) return cores;
  foundFact(reading, fact, quota.path);
  return quota.cores;
}

/** The CPUs that we are pinned to (taskset, CPUAffinity=). In a recording it was another process. */
async function readAffinity(reading: Reading): Promise<readonly number[] | null> {
  if (!reading.tree.live) return null;
  return readFact(reading, 'cpu.affinity', STATUS, parseAllowed, { optional: true });
}

function parseAllowed(text: string): readonly number[] {
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(text) ?? [];
  if (list === undefined) throw nonsense('a line "Cpus_allowed_list: 0-3"', text);
  return parseSomeCpus(list);
}

function copySource(reading: Reading, from: string, to: string): void {
  const path = reading.sources.get(from);
  if (path !== undefined) foundFact(reading, to, path);
}
