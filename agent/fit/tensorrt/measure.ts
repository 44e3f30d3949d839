import { readFile, rm } from 'node:fs/promises';
import { takeSample } from '../../bench/sampling.ts';
import type { Work } from '../../bench/turns.ts';
import { profileArguments, timeArguments } from '../../runtime/tensorrt/command.ts';
import { parseProfile, parseTimes, type LayerTime } from '../../runtime/tensorrt/json.ts';
import { integerShare } from '../../runtime/tensorrt/layer-info.ts';
import { runTrtexec, type TrtexecRun } from '../../runtime/tensorrt/process.ts';
import { readBounded } from '../../runtime/tensorrt/session.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import {
  figuresOf,
  noneRepeated,
  takeTurn,
  type Contender,
  type Figures,
} from '../measure/take-turn.ts';
import { buildEngine, type Built } from './engines.ts';
import type { EngineTools } from './tools.ts';

/** What timing one engine gave. */
export interface EngineTimes {
  readonly built: Built;
  readonly figures: Figures;
  /** Of the GPU alone, without copies, as the summary has it. */
  readonly gpuMs: number | null;
  readonly loadMs: number | null;
  readonly peakRssBytes: number | null;
  /** Starting trtexec and loading the engine, before anything is computed. */
  readonly startSeconds: number;
}

export interface EngineLook {
  readonly layers: readonly LayerTime[];
  readonly integerShare: number | null;
}

/** Forwards and backwards, so that drift of the machine hits all engines alike. */
const ROUNDS = 2;
const TIME_TIMEOUT_MS = 300_000;

/** One run of trtexec: it starts, loads, warms up and infers. */
interface EngineRun extends Work {
  readonly gpuMs: number | null;
  readonly loadMs: number | null;
  readonly peakRssBytes: number | null;
  readonly startSeconds: number;
}

interface Entrant extends Contender<EngineRun> {
  built: Built;
}

/** Measures engines in turn; by candidate id, a text says why one could not be measured. */
export async function timeEngines(
  engines: readonly Built[],
  tools: EngineTools,
): Promise<ReadonlyMap<string, EngineTimes | string>> {
  const before = await takeSample(tools.machine.instruments, 'edge');
  const entrants = engines.map((built): Entrant => {
    const { candidate } = built.file;
    return { candidate, processor: 'gpu', before, turns: [], repeated: noneRepeated(), built };
  });
  const failed = new Map<string, string>();
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? entrants : entrants.toReversed();
    for (const [index, one] of order.entries()) {
      const { id } = one.candidate;
      if (failed.has(id)) continue;
      const [done, total] = [round * entrants.length + index, ROUNDS * entrants.length];
      tools.hooks.progress({ phase: 'measuring engines in turn', done, total });
      // oxlint-disable-next-line no-await-in-loop -- two at once would disturb each other
      const problem = await attempt(tools, () => addTurn(one, tools));
      if (problem !== undefined) failed.set(id, problem);
    }
  }
  return new Map(
    entrants.map((one) => {
      const { id } = one.candidate;
      return [id, failed.get(id) ?? timesOf(one, tools)];
    }),
  );
}

/** What went wrong in words, if anything did; an abort is passed on. */
async function attempt(
  { hooks }: EngineTools,
  work: () => Promise<void>,
): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    hooks.signal.throwIfAborted();
    return messageOf(error);
  }
}

async function addTurn(one: Entrant, tools: EngineTools): Promise<void> {
  const { machine, hooks } = tools;
  const turn = () => takeTurn(one, () => timeOnce(one.built, tools), machine, hooks);
  try {
    one.turns.push(await turn());
  } catch (error) {
    // A kept engine that no longer loads (a new driver, a copied folder) is built again, once.
    if (!one.built.engine.cached || codeOf(error) !== 'INVALID_MODEL') throw error;
    const again = await buildEngine(one.built.file, tools, true);
    if (typeof again === 'string') throw new Error(again, { cause: error });
    one.built = again;
    one.turns.push(await turn());
  }
}

async function timeOnce({ engine, options, file }: Built, tools: EngineTools): Promise<EngineRun> {
  const times = tools.scratch.file('times.json');
  await rm(times, { force: true });
  const seconds = tools.minTimeSeconds / ROUNDS;
  const request = { engine: engine.path, seconds, shapes: options.shapes, times };
  const run = await runTrtexec(tools.trtexec.path, timeArguments(request), {
    doing: `measure ${file.candidate.id}`,
    timeoutMs: TIME_TIMEOUT_MS + seconds * 1000,
    signal: tools.hooks.signal,
  });
  const endedMs = performance.now();
  const latenciesMs = Float64Array.from(parseTimes(await readBounded(times)));
  if (latenciesMs.length === 0) throw new Error('trtexec made no inference');
  return { latenciesMs, ...factsOf(run, sum(latenciesMs), endedMs) };
}

function factsOf(
  { log, seconds, inferring, peakRssBytes }: TrtexecRun,
  inferredMs: number,
  endedMs: number,
): Omit<EngineRun, 'latenciesMs'> {
  const gpu = log.summary.blocks.get('GPU Compute Time');
  return {
    // Its loop is not ours.
    ownMs: 0,
    window: inferring ?? { startMs: endedMs - inferredMs, endMs: endedMs },
    gpuMs: gpu === undefined ? null : (gpu.median ?? gpu.mean),
    loadMs: log.loadSeconds === null ? null : log.loadSeconds * 1000,
    peakRssBytes,
    startSeconds: Math.max(0, seconds - inferredMs / 1000),
  };
}

const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);

const least = (values: readonly number[]) => (values.length === 0 ? null : Math.min(...values));

function timesOf(one: Entrant, { machine }: EngineTools): EngineTimes {
  const runs = one.turns.map(({ sampled }) => sampled.result);
  const known = (value: (run: EngineRun) => number | null) =>
    runs.map(value).filter((found) => found !== null);
  const peaks = known(({ peakRssBytes }) => peakRssBytes);
  return {
    built: one.built,
    figures: figuresOf(one, machine),
    gpuMs: least(known(({ gpuMs }) => gpuMs)),
    loadMs: least(known(({ loadMs }) => loadMs)),
    peakRssBytes: peaks.length === 0 ? null : Math.max(...peaks),
    startSeconds: Math.min(...runs.map(({ startSeconds }) => startSeconds)),
  };
}

/** The layers of an engine: how long each takes, and which compute in INT8. */
export async function lookInside(
  { engine, options, file }: Built,
  tools: EngineTools,
): Promise<EngineLook> {
  const profile = tools.scratch.file('profile.json');
  const layers = tools.scratch.file('layers.json');
  await Promise.all([profile, layers].map((path) => rm(path, { force: true })));
  const request = { engine: engine.path, shapes: options.shapes, profile, layers };
  try {
    await runTrtexec(tools.trtexec.path, profileArguments(tools.trtexec, request), {
      doing: `profile ${file.candidate.id}`,
      timeoutMs: TIME_TIMEOUT_MS,
      signal: tools.hooks.signal,
    });
    const { layers: times } = parseProfile(await readBounded(profile));
    const text = await readFile(layers, 'utf8').catch(() => '');
    return { layers: times, integerShare: integerShare(text) };
  } catch {
    tools.hooks.signal.throwIfAborted();
    return NOTHING_SEEN; // The figures that count have been taken already.
  }
}

const NOTHING_SEEN: EngineLook = { layers: [], integerShare: null };
