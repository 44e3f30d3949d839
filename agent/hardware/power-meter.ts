import { startReading, type Reading } from './facts-log.ts';
import type { GpuState } from './gpu.ts';
import {
  openIna3221,
  openPmic,
  openRapl,
  tegrastatsMeter,
  type PowerMeter,
} from './power-sources.ts';
import { quickTree } from './quick-tree.ts';
import { startTegrastats, TEGRASTATS, type TegrastatsStream } from './tegrastats-stream.ts';
import { openTree } from './tree.ts';
import { VCGENCMD } from './vcgencmd.ts';

export interface MeterOptions {
  readonly root?: string | undefined;
  /** The rail of the whole board, as its profile has it. */
  readonly totalRail?: string | null | undefined;
  /** Where the tools are, in place of the usual paths. */
  readonly vcgencmd?: readonly string[];
  readonly tegrastats?: readonly string[];
}

export interface OpenedMeter {
  readonly meter: PowerMeter | null;
  /** Why there is none. */
  readonly why: string;
  /** What the GPU does, by tegrastats; null where that does not run. */
  readonly gpu: (() => GpuState | null) | null;
  /** Ends what was started. */
  readonly close: () => void;
}

const SELDOM_MS = 60_000;
const NO_RAIL = 'no power monitor that is known (INA3221, tegrastats, Pi 5 power chip, RAPL)';

/**
 * Opens the best meter of a machine: files before tools, the whole board before its processor.
 * `gpuLoad`: the load of the GPU is wanted, too, because no file tells it.
 */
export async function openPowerMeter(
  options: MeterOptions = {},
  { gpuLoad = false }: { readonly gpuLoad?: boolean } = {},
): Promise<OpenedMeter> {
  const tree = quickTree(await openTree(options.root));
  const reading = startReading(tree);
  const { totalRail = null } = options;
  const monitor = await openIna3221(reading, totalRail);
  const wanted = monitor === null || gpuLoad;
  const stream = wanted ? await startTegrastats(tree, options.tegrastats ?? TEGRASTATS) : null;
  const meter =
    monitor ??
    (stream === null ? null : tegrastatsMeter(stream, totalRail)) ??
    (await openPmic(tree, options.vcgencmd ?? VCGENCMD)) ??
    (await openRapl(reading));
  return {
    meter,
    why: reading.unknown.get('power') ?? NO_RAIL,
    gpu: stream === null ? null : () => gpuOf(stream),
    close: () => stream?.close(),
  };
}

/**
 * The meter for whoever looks now and then, for ever: files only, and a program that is asked at most
 * once a minute, but none that keeps running. Null where there is no such meter.
 */
export async function openFilePower(
  reading: Reading,
  { vcgencmd = VCGENCMD }: Pick<MeterOptions, 'vcgencmd'> = {},
): Promise<PowerMeter | null> {
  return (
    (await openIna3221(reading, null)) ??
    (await openRapl(reading)) ??
    (await openPmic(reading.tree, vcgencmd, SELDOM_MS))
  );
}

function gpuOf(stream: TegrastatsStream): GpuState | null {
  const line = stream.last()?.line;
  if (line === undefined) return null;
  return { frequencyHz: line.gpuFrequencyHz, loadShare: line.gpuLoadShare };
}
