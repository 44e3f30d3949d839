import { setTimeout as sleep } from 'node:timers/promises';
import type { HeatReader, HeatSample } from '../hardware/heat.ts';
import type { GpuState } from '../hardware/gpu.ts';
import type { PowerMeter, PowerReading } from '../hardware/power-sources.ts';

/** One look at the machine; times are those of `performance.now`. */
export interface Sample extends HeatSample {
  readonly atMs: number;
  readonly power: PowerReading | null;
}

/** What was seen while something ran. */
export interface Sampled<T> {
  readonly result: T;
  readonly startMs: number;
  /** Right before and right after; `during` is in order and may be empty for short work. */
  readonly before: Sample;
  readonly during: readonly Sample[];
  readonly after: Sample;
}

export interface Instruments {
  readonly heat: HeatReader;
  readonly meter: PowerMeter | null;
  /** Where no file tells what the GPU does. */
  readonly gpu?: (() => GpuState | null) | null;
}

/** Often enough for a turn of a second, rare enough to cost well under 1 % of a core (docs/heat-and-power.md). */
export const SAMPLE_EVERY_MS = 250;
/** The first look: clocks have risen by then, and a short turn has one at all. */
const FIRST_AFTER_MS = 100;

/** Looks at the machine while `work` runs, at fixed times from its start. */
export async function sampleBeside<T>(
  instruments: Instruments,
  work: () => Promise<T>,
  { everyMs = SAMPLE_EVERY_MS }: { readonly everyMs?: number } = {},
): Promise<Sampled<T>> {
  const before = await takeSample(instruments, 'edge');
  const during: Sample[] = [];
  const startMs = performance.now();
  const stop = new AbortController();
  const watching = watch(instruments, during, everyMs, stop.signal);
  try {
    const result = await work();
    stop.abort();
    await watching;
    return { result, startMs, before, during, after: await takeSample(instruments, 'edge') };
  } finally {
    stop.abort();
  }
}

async function watch(
  instruments: Instruments,
  samples: Sample[],
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  const start = performance.now();
  for (let at = Math.min(FIRST_AFTER_MS, everyMs); !signal.aborted;) {
    // A sleep that is cut short rejects: the work has ended.
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await sleep(start + at - performance.now(), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    samples.push(await takeSample(instruments, samples.length === 0 ? 'first' : 'later'));
    // A machine that answers slowly is asked less often, still at the fixed times.
    do at += everyMs;
    while (start + at <= performance.now());
  }
}

/**
 * One look. At an edge, before and after work, programs may be asked without harm, and of meters only a
 * counter tells anything. The first look within work asks a meter that is a program, later ones do so
 * rarely.
 */
export async function takeSample(
  { heat, meter, gpu = null }: Instruments,
  when: 'edge' | 'first' | 'later',
): Promise<Sample> {
  const atMs = performance.now();
  const [seen, power] = await Promise.all([
    heat.read({ fresh: when === 'edge' }),
    meter === null || (when === 'edge' && !meter.counts) ? null : meter.read(when === 'first'),
  ]);
  if (gpu === null) return { ...seen, atMs, power };
  const told = gpu();
  return {
    ...seen,
    gpuHz: seen.gpuHz ?? told?.frequencyHz ?? null,
    gpuLoadShare: seen.gpuLoadShare ?? told?.loadShare ?? null,
    atMs,
    power,
  };
}
