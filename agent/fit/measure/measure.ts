import { takeSample } from '../../bench/sampling.ts';
import { busyShare, readCpuTimes } from '../../hardware/cpu-times.ts';
import type { Feeds } from '../../runtime/types.ts';
import { messageOf } from '../../util/errors.ts';
import { LOAD_TIMEOUT_MS, SAMPLE_TIMEOUT_MS, openChild } from '../children.ts';
import { withMachine, type Machine, type MachineOptions } from './machine.ts';
import { finish, runRound, type Entry, type Measurement, type Running } from './running.ts';
import type { Scratch } from '../scratch.ts';
import { noneRepeated } from './take-turn.ts';
import { throttleWarnings } from './throttle-warnings.ts';
import type { Hooks } from '../types.ts';

export interface Measurements {
  /** By candidate id; a text says why a candidate could not be measured. */
  readonly rows: ReadonlyMap<string, Measurement | string>;
  readonly warnings: readonly string[];
}

export interface MeasureOptions {
  readonly feeds: Feeds;
  readonly minTimeSeconds: number;
  /** A turn of a slow model ends after this long, also with fewer inferences than others make. */
  readonly maxRoundMs?: number | undefined;
  /** Memory that the open candidates may take together; null when nobody knows. */
  readonly memoryBytes: number | null;
  /** The machine, watched; without it throttled candidates are marked and nobody waits. */
  readonly machine?: Machine | undefined;
  readonly hooks: Hooks;
  readonly scratch: Scratch;
}

const WATCH_ONLY: MachineOptions = { coolDownSeconds: null, startCelsius: null, power: false };

/** Interleaved rounds: drift of the machine hits all candidates alike. */
const ROUNDS = 5;
/** Inferences per round at least, unless the model is very slow. */
const MIN_COUNT = 5;
const MAX_ROUND_MS = 20_000;
/** A child with onnxruntime in it, before any model. */
const CHILD_BYTES = 120 * 2 ** 20;
/** Weights, their repacked copy and activations, as a multiple of the file. */
const FILE_FACTOR = 4;
/** Others using more than this share of the machine disturb the figures. */
const BUSY_LIMIT = 0.1;

/** Measures latency, load time and memory of candidates that lie in files, side by side. */
export async function measureAll(
  entries: readonly Entry[],
  options: MeasureOptions,
): Promise<Measurements> {
  const rows = new Map<string, Measurement | string>();
  const warnings = new Set<string>();
  const groups = groupByMemory(entries, options.memoryBytes);
  if (groups.length > 1) {
    warnings.add(
      `memory allows only ${groups[0]?.length ?? 1} candidates at a time: the groups were measured one after the other`,
    );
  }
  const measure = async (machine: Machine) => {
    for (const group of groups) {
      // oxlint-disable-next-line no-await-in-loop -- candidates of two groups do not fit into memory
      await measureGroup(group, machine, options, rows, warnings);
    }
  };
  if (options.machine === undefined) await withMachine(WATCH_ONLY, options.hooks, measure);
  else await measure(options.machine);
  for (const warning of throttleWarnings(rows)) warnings.add(warning);
  return { rows, warnings: [...warnings] };
}

function groupByMemory(entries: readonly Entry[], memory: number | null): Entry[][] {
  const groups: Entry[][] = [];
  let free = 0;
  for (const entry of entries) {
    const need = CHILD_BYTES + FILE_FACTOR * entry.bytes;
    const group = groups.at(-1);
    if (group !== undefined && (memory === null || need <= free)) group.push(entry);
    else {
      groups.push([entry]);
      free = (memory ?? 0) / 2;
    }
    free -= need;
  }
  return groups;
}

async function measureGroup(
  group: readonly Entry[],
  machine: Machine,
  options: MeasureOptions,
  rows: Map<string, Measurement | string>,
  warnings: Set<string>,
): Promise<void> {
  const running: Running[] = [];
  try {
    for (const entry of group) {
      // oxlint-disable-next-line no-await-in-loop -- loading is timed, so one at a time
      const started = await attempt(options, () => start(entry, machine, options));
      if (typeof started === 'string') rows.set(entry.candidate.id, started);
      else {
        running.push(started);
        for (const note of started.notes) {
          warnings.add(`${entry.candidate.id.replace(/\/t\d+$/, '')}: ${note}`);
        }
      }
    }
    const times = await readCpuTimes({ pid: process.pid }).catch(() => null);
    for (let round = 0; round < ROUNDS; round++) {
      // oxlint-disable-next-line no-await-in-loop -- rounds are interleaved on purpose
      await measureRounds(running, round, machine, options, rows);
    }
    const after = await readCpuTimes({ pid: process.pid }).catch(() => null);
    const others = times === null || after === null ? 0 : busyShare(times, after);
    if (others > BUSY_LIMIT) {
      warnings.add(
        `other programs used ${Math.round(others * 100)} % of the machine: figures may be too high`,
      );
    }
    for (const one of running) {
      if (rows.has(one.candidate.id)) continue;
      rows.set(one.candidate.id, finish(one, machine));
    }
  } finally {
    await Promise.all(running.map(({ worker }) => worker.close()));
  }
}

/** The result, or what went wrong in words; an abort is passed on. */
async function attempt<T>({ hooks }: MeasureOptions, work: () => Promise<T>): Promise<T | string> {
  try {
    return await work();
  } catch (error) {
    hooks.signal.throwIfAborted();
    return messageOf(error);
  }
}

async function start(
  entry: Entry,
  { instruments }: Machine,
  { feeds, hooks, scratch }: MeasureOptions,
): Promise<Running> {
  const { id, threads, delegate } = entry.candidate;
  hooks.progress({ phase: `loading ${id}` });
  const worker = await openChild({ name: id, signal: hooks.signal, scratch });
  try {
    const before = await takeSample(instruments, 'edge');
    const args = { path: entry.path, threads, feeds, delegate };
    const { loadMs, notes } = await worker.call('open', args, { timeoutMs: LOAD_TIMEOUT_MS });
    await worker.call('warmUp', undefined, { timeoutMs: SAMPLE_TIMEOUT_MS });
    const repeated = noneRepeated();
    return { ...entry, processor: 'cpu', worker, loadMs, notes, before, turns: [], repeated };
  } catch (error) {
    await worker.close();
    throw error;
  }
}

async function measureRounds(
  running: readonly Running[],
  round: number,
  machine: Machine,
  options: MeasureOptions,
  rows: Map<string, Measurement | string>,
): Promise<void> {
  const minTimeMs = (options.minTimeSeconds * 1000) / ROUNDS;
  const maxTimeMs = Math.max(options.maxRoundMs ?? MAX_ROUND_MS, minTimeMs);
  const limits = { minCount: MIN_COUNT, minTimeMs, maxTimeMs };
  // Every other round runs backwards, so that no candidate always follows the same neighbour.
  const order = round % 2 === 0 ? running : running.toReversed();
  for (const [index, one] of order.entries()) {
    const { id } = one.candidate;
    if (rows.has(id)) continue;
    const done = round * running.length + index;
    options.hooks.progress({
      phase: 'measuring candidates in turn',
      done,
      total: ROUNDS * running.length,
    });
    // oxlint-disable-next-line no-await-in-loop -- two at once would disturb each other
    const made = await attempt(options, () => runRound(one, limits, machine, options.hooks));
    if (typeof made === 'string') rows.set(id, made);
    else one.turns.push(made);
  }
}
