// Whether the clocks of a Jetson are held at one frequency, as `jetson_clocks` does.
import { messageOf } from '../util/errors.ts';
import { nonsense } from './error.ts';
import { foundFact, listFolder, missFact, readOptional, type Reading } from './facts-log.ts';
import type { GpuFiles } from './gpu.ts';
import { askTool } from './tool.ts';
import { findTool } from './vcgencmd.ts';

const FACT = 'power.clocksLocked';
const CPUS = '/sys/devices/system/cpu';
const TOOLS: readonly string[] = ['/usr/bin/jetson_clocks'];
const ASK_TIMEOUT_MS = 5000;

/**
 * `jetson_clocks --show`: locked when every core that is online and the GPU have one frequency as both
 * limits. Memory is left out: it is held by an override, its limits stay apart.
 */
export function parseJetsonClocks(text: string): boolean {
  const limits = text
    .split('\n')
    .filter((line) => /^(cpu\d+:|GPU )/.test(line) && !/\bOnline=0\b/.test(line))
    .flatMap((line) => {
      const [, min, max] = /\bMinFreq=(\d+) MaxFreq=(\d+)/.exec(line) ?? [];
      return min === undefined || max === undefined ? [] : [min === max];
    });
  if (limits.length === 0) throw nonsense('lines with MinFreq and MaxFreq', text);
  return limits.every(Boolean);
}

/** The same from the files that the tool reads, which needs no root; then from the tool; else null. */
export async function readClocksLocked(
  reading: Reading,
  gpu: GpuFiles | null,
  tools: readonly string[] = TOOLS,
): Promise<boolean | null> {
  const files = await readLimits(reading, gpu);
  if (files !== null) return files;
  const tool = await findTool(reading.tree, tools);
  if (tool === undefined) return null;
  try {
    const locked = parseJetsonClocks(await askTool(tool, ['--show'], ASK_TIMEOUT_MS));
    foundFact(reading, FACT, tool);
    return locked;
  } catch (error) {
    const why = messageOf(error).replaceAll(/\s+/g, ' ');
    missFact(reading, FACT, `${tool} --show needs root: ${why}`);
    return null;
  }
}

async function readLimits(reading: Reading, gpu: GpuFiles | null): Promise<boolean | null> {
  const cores = await listFolder(reading, FACT, CPUS, /^cpu\d+$/);
  const pairs = [
    ...cores.map((cpu) =>
      ['scaling_min_freq', 'scaling_max_freq'].map((f) => `${CPUS}/${cpu}/cpufreq/${f}`),
    ),
    ...(gpu?.folder === undefined ? [] : [[`${gpu.folder}/min_freq`, `${gpu.folder}/max_freq`]]),
  ];
  const read = pairs.map((pair) =>
    Promise.all(pair.map((path) => readOptional(reading.tree, path))),
  );
  const known = (await Promise.all(read)).flatMap(([min, max]) =>
    typeof min === 'string' && typeof max === 'string' ? [min.trim() === max.trim()] : [],
  );
  if (known.length === 0) return null;
  foundFact(reading, FACT, CPUS);
  return known.every(Boolean);
}
