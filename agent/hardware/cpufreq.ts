import type { Facts } from '../contracts/facts.ts';
import { missFact, readFact, type Reading } from './facts-log.ts';
import { parseLine, parsePositive } from './parse.ts';

type Clocks = Pick<
  Facts['cpu'],
  'governor' | 'maxFrequencyHz' | 'currentFrequencyHz' | 'frequencyCappedToHz'
>;

const KHZ = 1000;
/** Asking x86 cores for their current clock can wake them; a few say enough. */
const MAX_CURRENT_READ = 8;
const MAX_CORES_READ = 256;

/** The folder of a core's clock. */
export function cpufreq(cpu: number): string {
  return `/sys/devices/system/cpu/cpu${cpu}/cpufreq`;
}

/** sysfs has kHz; facts have Hz. */
function parseKhz(text: string): number {
  return parsePositive(text) * KHZ;
}

/** Reads the clocks of the fastest core; `frequencyCappedToHz` is null when nothing caps it. */
export async function readClocks(reading: Reading, online: readonly number[]): Promise<Clocks> {
  const cores = await coresWithClocks(reading, online);
  const [first] = cores;
  if (first === undefined) return noClocks(reading);
  const governor = await readFact(
    reading,
    'cpu.governor',
    `${cpufreq(first)}/scaling_governor`,
    parseLine,
  );
  const limits = await Promise.all(cores.map((cpu) => readLimits(reading, cpu)));
  // Faster cores first; a cap on the big cores matters more than one on the little cores.
  const sorted = limits.toSorted((a, b) => (b.maxHz ?? 0) - (a.maxHz ?? 0));
  const capped = sorted.find(
    ({ maxHz, capHz }) => maxHz !== null && capHz !== null && capHz < maxHz,
  );
  noteLimits(reading, sorted[0], capped ?? sorted.find(({ capHz }) => capHz !== null));
  return {
    governor,
    maxFrequencyHz: sorted[0]?.maxHz ?? null,
    currentFrequencyHz: await readCurrentHz(
      reading,
      sorted.map(({ cpu }) => cpu),
    ),
    frequencyCappedToHz: capped?.capHz ?? null,
  };
}

async function coresWithClocks(
  reading: Reading,
  online: readonly number[],
): Promise<readonly number[]> {
  const asked = online.slice(0, MAX_CORES_READ);
  const present = await Promise.all(asked.map((cpu) => reading.tree.exists(cpufreq(cpu))));
  return asked.filter((_, at) => present[at] === true);
}

/** Virtual machines and containers have no cpufreq. */
function noClocks(reading: Reading): Clocks {
  for (const fact of ['governor', 'maxFrequencyHz', 'currentFrequencyHz', 'frequencyCappedToHz']) {
    missFact(reading, `cpu.${fact}`, 'no cpufreq directory');
  }
  return {
    governor: null,
    maxFrequencyHz: null,
    currentFrequencyHz: null,
    frequencyCappedToHz: null,
  };
}

interface Limits {
  readonly cpu: number;
  readonly maxHz: number | null;
  readonly capHz: number | null;
}

async function readLimits(reading: Reading, cpu: number): Promise<Limits> {
  const folder = cpufreq(cpu);
  return {
    cpu,
    maxHz: await readFact(reading, 'cpu.maxFrequencyHz', `${folder}/cpuinfo_max_freq`, parseKhz),
    capHz: await readFact(
      reading,
      'cpu.frequencyCappedToHz',
      `${folder}/scaling_max_freq`,
      parseKhz,
    ),
  };
}

/** Every core was read under the same fact; the note left behind is that of the core that decided. */
function noteLimits(
  reading: Reading,
  fastest: Limits | undefined,
  asked: Limits | undefined,
): void {
  if (fastest !== undefined && fastest.maxHz !== null) {
    reading.unknown.delete('cpu.maxFrequencyHz');
    reading.sources.set('cpu.maxFrequencyHz', `${cpufreq(fastest.cpu)}/cpuinfo_max_freq`);
  }
  if (asked !== undefined) {
    reading.unknown.delete('cpu.frequencyCappedToHz');
    reading.sources.set('cpu.frequencyCappedToHz', `${cpufreq(asked.cpu)}/scaling_max_freq`);
  }
}

/** The highest clock that any of the first of `cpus` may have now, in Hz; null when none tells. */
export async function readLimitHz(
  reading: Reading,
  cpus: readonly number[],
): Promise<number | null> {
  const fact = 'cpu.frequencyCappedToHz';
  const limits = await Promise.all(
    cpus
      .slice(0, MAX_CURRENT_READ)
      .map((cpu) => readFact(reading, fact, `${cpufreq(cpu)}/scaling_max_freq`, parseKhz)),
  );
  const highest = Math.max(...limits.map((hz) => hz ?? 0));
  return highest > 0 ? highest : null;
}

/** The highest current clock among the first of `cpus`, in Hz; null when none can be read. */
export async function readCurrentHz(
  reading: Reading,
  cpus: readonly number[],
): Promise<number | null> {
  const fact = 'cpu.currentFrequencyHz';
  const asked = cpus.slice(0, MAX_CURRENT_READ);
  const clocks = await Promise.all(
    asked.map((cpu) => readFact(reading, fact, `${cpufreq(cpu)}/scaling_cur_freq`, parseKhz)),
  );
  const highest = Math.max(...clocks.map((hz) => hz ?? 0));
  const cpu = asked[clocks.indexOf(highest)];
  if (highest === 0 || cpu === undefined) return null;
  reading.unknown.delete(fact);
  reading.sources.set(fact, `${cpufreq(cpu)}/scaling_cur_freq`);
  return highest;
}
