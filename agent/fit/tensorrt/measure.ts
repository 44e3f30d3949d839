import { readFile, rm } from 'node:fs/promises';
import { summarize } from '../../bench/statistics.ts';
import type { LatencyMs } from '../../contracts/bench.ts';
import { openHeat, type HeatReader, type HeatSample } from '../../hardware/heat.ts';
import { profileArguments, timeArguments } from '../../runtime/tensorrt/command.ts';
import { parseProfile, parseTimes, type LayerTime } from '../../runtime/tensorrt/json.ts';
import { integerShare } from '../../runtime/tensorrt/layer-info.ts';
import { runTrtexec } from '../../runtime/tensorrt/process.ts';
import { readBounded } from '../../runtime/tensorrt/session.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { buildEngine, type Built } from './engines.ts';
import type { EngineTools } from './tools.ts';

/** What timing one engine gave. */
export interface EngineTimes {
  readonly built: Built;
  readonly latencyMs: LatencyMs;
  /** Of the GPU alone, without copies, as the summary has it. */
  readonly gpuMs: number | null;
  readonly loadMs: number | null;
  readonly peakRssBytes: number | null;
  /** Starting trtexec and loading the engine, before anything is computed. */
  readonly startSeconds: number;
  readonly heat: { readonly before: HeatSample; readonly after: HeatSample };
}

export interface EngineLook {
  readonly layers: readonly LayerTime[];
  readonly integerShare: number | null;
}

/** Forwards and backwards, so that drift of the machine hits all engines alike. */
const ROUNDS = 2;
const TIME_TIMEOUT_MS = 300_000;

interface Turns {
  built: Built;
  readonly latencies: number[];
  readonly gpuMs: number[];
  readonly loadsMs: number[];
  readonly startSeconds: number[];
  readonly peaks: number[];
  before: HeatSample | null;
}

/** Measures engines in turn; by candidate id, a text says why one could not be measured. */
export async function timeEngines(
  engines: readonly Built[],
  tools: EngineTools,
): Promise<ReadonlyMap<string, EngineTimes | string>> {
  const turns = engines.map((built): Turns => {
    const lists = { latencies: [], gpuMs: [], loadsMs: [], startSeconds: [], peaks: [] };
    return { built, ...lists, before: null };
  });
  const failed = new Map<string, string>();
  const heat = await openHeat();
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? turns : turns.toReversed();
    for (const [index, turn] of order.entries()) {
      const { id } = turn.built.file.candidate;
      if (failed.has(id)) continue;
      const [done, total] = [round * turns.length + index, ROUNDS * turns.length];
      tools.hooks.progress({ phase: 'measuring engines in turn', done, total });
      // oxlint-disable-next-line no-await-in-loop -- two at once would disturb each other
      const problem = await attempt(tools, () => takeTurn(turn, tools, heat));
      if (problem !== undefined) failed.set(id, problem);
    }
  }
  const after = await heat.read({ fresh: true });
  return new Map(
    turns.map((turn) => {
      const { id } = turn.built.file.candidate;
      return [id, failed.get(id) ?? timesOf(turn, after)];
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

async function takeTurn(turn: Turns, tools: EngineTools, heat: HeatReader): Promise<void> {
  turn.before ??= await heat.read({ fresh: true });
  try {
    await timeOnce(turn, tools);
  } catch (error) {
    // A kept engine that no longer loads (a new driver, a copied folder) is built again, once.
    if (!turn.built.engine.cached || codeOf(error) !== 'INVALID_MODEL') throw error;
    const again = await buildEngine(turn.built.file, tools, true);
    if (typeof again === 'string') throw new Error(again, { cause: error });
    turn.built = again;
    await timeOnce(turn, tools);
  }
}

async function timeOnce(turn: Turns, tools: EngineTools): Promise<void> {
  const { engine, options, file } = turn.built;
  const times = tools.scratch.file('times.json');
  await rm(times, { force: true });
  const seconds = tools.minTimeSeconds / ROUNDS;
  const request = { engine: engine.path, seconds, shapes: options.shapes, times };
  const run = await runTrtexec(tools.trtexec.path, timeArguments(request), {
    doing: `measure ${file.candidate.id}`,
    timeoutMs: TIME_TIMEOUT_MS + seconds * 1000,
    signal: tools.hooks.signal,
  });
  const latencies = parseTimes(await readBounded(times));
  if (latencies.length === 0) throw new Error('trtexec made no inference');
  for (const ms of latencies) turn.latencies.push(ms);
  const inferring = latencies.reduce((sum, ms) => sum + ms, 0) / 1000;
  turn.startSeconds.push(Math.max(0, run.seconds - inferring));
  const gpu = run.log.summary.blocks.get('GPU Compute Time');
  if (gpu !== undefined) turn.gpuMs.push(gpu.median ?? gpu.mean);
  if (run.log.loadSeconds !== null) turn.loadsMs.push(run.log.loadSeconds * 1000);
  if (run.peakRssBytes !== null) turn.peaks.push(run.peakRssBytes);
}

function timesOf(turn: Turns, after: HeatSample): EngineTimes {
  const { built, latencies, gpuMs, loadsMs, startSeconds, peaks, before } = turn;
  return {
    built,
    latencyMs: summarize(latencies),
    gpuMs: gpuMs.length === 0 ? null : Math.min(...gpuMs),
    loadMs: loadsMs.length === 0 ? null : Math.min(...loadsMs),
    peakRssBytes: peaks.length === 0 ? null : Math.max(...peaks),
    startSeconds: Math.min(...startSeconds),
    heat: { before: before ?? after, after },
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
