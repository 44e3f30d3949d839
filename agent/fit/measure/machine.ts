// The machine beside the load: its instruments, what it was like at the start, and waiting for it to cool.
import { setTimeout as sleep } from 'node:timers/promises';
import { energyInWindow } from '../../bench/energy.ts';
import {
  SAMPLE_EVERY_MS,
  sampleBeside,
  takeSample,
  type Instruments,
  type Sample,
} from '../../bench/sampling.ts';
import { isCool, type CoolBudget } from '../../bench/throttle.ts';
import type { Conditions } from '../../contracts/bench.ts';
import { openHeat, type HeatOptions } from '../../hardware/heat.ts';
import { openPowerMeter, type MeterOptions, type OpenedMeter } from '../../hardware/power-meter.ts';
import type { Hooks } from '../types.ts';

export interface MachineOptions extends MeterOptions {
  /** The longest wait for a throttled machine to cool; null: mark, but never wait. */
  readonly coolDownSeconds: number | null;
  /** From where on it runs slower, where its own files do not say. */
  readonly limit?: HeatOptions['limit'];
  /** Before anything was calibrated or judged; null when not known. */
  readonly startCelsius: number | null;
  /** False: what the machine draws is of no interest. */
  readonly power: boolean;
}

export interface Machine {
  readonly instruments: Instruments;
  readonly start: Pick<Sample, 'celsius' | 'limitHz'>;
  /** What it draws before the first model is loaded; null without a meter. */
  readonly idleMilliwatts: number | null;
  /** Why there is no meter; null when there is one. */
  readonly noPower: string | null;
  budget: CoolBudget;
  readonly close: () => void;
}

const NO_METER: OpenedMeter = {
  meter: null,
  gpu: null,
  why: 'nobody asked',
  close: () => undefined,
};
const IDLE_MS = 1000;
const LOOK_EVERY_MS = 1000;

async function openMachine(
  options: MachineOptions,
  { signal }: Pick<Hooks, 'signal'>,
): Promise<Machine> {
  const heat = await openHeat(options.root, { limit: options.limit });
  const gpuLoad = !heat.knowsGpuLoad;
  const { meter, gpu, why, close } = options.power
    ? await openPowerMeter(options, { gpuLoad })
    : NO_METER;
  const instruments = { heat, meter, gpu };
  try {
    const first = await takeSample(instruments, 'edge');
    const known = [options.startCelsius, first.celsius].filter((celsius) => celsius !== null);
    return {
      instruments,
      start: {
        celsius: known.length === 0 ? null : Math.min(...known),
        limitHz: first.limitHz,
      },
      idleMilliwatts: await idlePower(instruments, signal),
      noPower: meter === null ? why : null,
      budget: { limitSeconds: options.coolDownSeconds, waitedSeconds: 0, inVain: false },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Opens the instruments for some work, and closes them behind it. */
export async function withMachine<T>(
  options: MachineOptions,
  hooks: Pick<Hooks, 'signal'>,
  use: (machine: Machine) => Promise<T>,
): Promise<T> {
  const machine = await openMachine(options, hooks);
  try {
    return await use(machine);
  } finally {
    machine.close();
  }
}

/** What the report says of how it was measured. */
export function conditionsOf({
  instruments,
  noPower,
  budget,
}: Machine): Omit<Conditions, 'powerMode' | 'clocksLocked'> {
  return {
    governor: instruments.heat.governor,
    powerSource: instruments.meter?.source ?? null,
    noPower,
    sampleEveryMs: SAMPLE_EVERY_MS,
    coolDownSeconds: budget.limitSeconds,
    waitedSeconds: budget.waitedSeconds,
  };
}

async function idlePower(instruments: Instruments, signal: AbortSignal): Promise<number | null> {
  if (instruments.meter === null) return null;
  const rest = () => sleep(IDLE_MS, undefined, { signal });
  const { startMs, before, during, after } = await sampleBeside(instruments, rest);
  const readings = [before, ...during, after].map(({ power }) => power);
  const energy = energyInWindow(readings, { startMs, endMs: startMs + IDLE_MS });
  return energy === null ? null : (energy.millijoules / IDLE_MS) * 1000;
}

/** Waits until the machine is cool, or as long as one wait may take; counts it in the budget. */
export async function coolDown(
  machine: Machine,
  candidate: string,
  reasons: readonly string[],
  { signal, progress }: Hooks,
): Promise<number> {
  const { limitSeconds } = machine.budget;
  const limitMs = (limitSeconds ?? 0) * 1000;
  progress({
    phase: `throttled (${reasons.join(', ')}): cooling down before ${candidate} goes on`,
  });
  const start = performance.now();
  let cool = false;
  let waitedMs = 0;
  while (!cool && waitedMs < limitMs) {
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await sleep(Math.min(LOOK_EVERY_MS, limitMs - waitedMs), undefined, { signal });
    waitedMs = performance.now() - start;
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    cool = isCool(await takeSample(machine.instruments, 'edge'), machine.start, waitedMs);
  }
  const waitedSeconds = waitedMs / 1000;
  machine.budget = {
    limitSeconds,
    waitedSeconds: machine.budget.waitedSeconds + waitedSeconds,
    inVain: !cool,
  };
  return waitedSeconds;
}
