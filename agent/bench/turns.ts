import type { CandidateRow } from '../contracts/bench.ts';
import type { Round } from './latency.ts';
import { energyInWindow, powerFigures, type Stretch, type Window } from './energy.ts';
import type { Sample, Sampled } from './sampling.ts';

/** What was computed in one turn. */
export interface Work extends Round {
  /**
   * When the inferences were made, on the clock of the samples: where that was not right from the start
   * of the turn.
   */
  readonly window?: Window;
}

/** One turn of a candidate: what it took, what was seen beside it, and why it was slowed down. */
export interface Turn<W extends Work = Work> {
  readonly sampled: Sampled<W>;
  readonly reasons: readonly string[];
}

/** What a report says about a candidate's heat, clocks and power; a part is left out when unknown. */
export type TurnFigures = Pick<
  CandidateRow,
  'heat' | 'clocks' | 'power' | 'energyPerInferenceMillijoules'
>;

/** Figures of all turns of one candidate; `first` is what was seen before it was loaded. */
export function turnFigures(
  turns: readonly Turn[],
  first: Sample,
  meter: { readonly source: string | null; readonly idleMilliwatts: number | null },
): TurnFigures {
  const samples = turns.flatMap(({ sampled }) => [...sampled.during, sampled.after]);
  const during = turns.flatMap(({ sampled }) => sampled.during);
  const last = samples.at(-1) ?? first;
  return {
    heat: {
      beforeCelsius: first.celsius,
      afterCelsius: last.celsius,
      beforeHz: first.frequencyHz,
      afterHz: last.frequencyHz,
      ...hottestOf(samples),
    },
    ...clocksOf(during),
    ...powerOf(turns, meter),
  };
}

function hottestOf(samples: readonly Sample[]) {
  const known = samples.flatMap(({ celsius, zone }) =>
    celsius === null || zone === null ? [] : [{ maxCelsius: celsius, zone }],
  );
  const [first, ...others] = known;
  if (first === undefined) return {};
  return others.reduce((best, one) => (one.maxCelsius > best.maxCelsius ? one : best), first);
}

function clocksOf(during: readonly Sample[]): Pick<CandidateRow, 'clocks'> {
  const cpu = during.flatMap(({ frequencyHz }) => frequencyHz ?? []);
  const gpu = during.flatMap(({ gpuHz }) => gpuHz ?? []);
  const load = during.flatMap(({ gpuLoadShare }) => gpuLoadShare ?? []);
  if (cpu.length + gpu.length + load.length === 0) return {};
  return {
    clocks: {
      cpuMeanHz: mean(cpu),
      cpuMinHz: cpu.length === 0 ? null : Math.min(...cpu),
      gpuMeanHz: mean(gpu),
      gpuLoadShare: mean(load),
    },
  };
}

function powerOf(
  turns: readonly Turn[],
  {
    source,
    idleMilliwatts,
  }: { readonly source: string | null; readonly idleMilliwatts: number | null },
): Pick<CandidateRow, 'power' | 'energyPerInferenceMillijoules'> {
  if (source === null) return {};
  const figures = powerFigures(turns.map(({ sampled }) => stretchOf(sampled)));
  if (figures === null) return {};
  const { meanMilliwatts, energyPerInferenceMillijoules, readings } = figures;
  return {
    power: { meanMilliwatts, idleMilliwatts, source, readings },
    energyPerInferenceMillijoules,
  };
}

function stretchOf(sampled: Sampled<Work>): Stretch {
  const { result, before, during, after } = sampled;
  const window = inferring(sampled);
  const readings = [before, ...during, after].map(({ power }) => power);
  const energy = energyInWindow(readings, window);
  return { energy, busyMs: window.endMs - window.startMs, inferences: result.latenciesMs.length };
}

/** The time of the inferences themselves: a turn ends with a pause in which threads settle. */
function inferring({ result, startMs }: Sampled<Work>): Window {
  const busyMs = result.latenciesMs.reduce((sum, ms) => sum + ms, result.ownMs);
  return result.window ?? { startMs, endMs: startMs + busyMs };
}

/** Without what was seen while nothing was inferred yet: a program that starts and loads is no load. */
export function onlyInferring<W extends Work>(sampled: Sampled<W>): Sampled<W> {
  const { window } = sampled.result;
  if (window === undefined) return sampled;
  const { startMs, endMs } = window;
  const during = sampled.during.filter(({ atMs }) => atMs >= startMs && atMs <= endMs);
  return { ...sampled, during };
}

function mean(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
