import { noScheme } from '../../contracts/scheme.ts';
import type { Scheme } from '../../contracts/scheme.ts';
import { withGraph, writeOnnx } from '../../model/onnx/open.ts';
import { extensionOf, writeModel } from '../../model/open.ts';
import { noiseSources, unitWork } from '../../quantize/onnx/noise-sources.ts';
import { planModel } from '../../quantize/onnx/static.ts';
import { addSwitches } from '../../quantize/onnx/switched.ts';
import type { OpReport } from '../../quantize/report.ts';

import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import type { FitWorker } from '../children.ts';
import { fastestSplit } from './fastest-split.ts';
import type { Sensitivity } from './give-back.ts';
import { leaveOneOut } from './leave-one-out.ts';
import type { Refinement, VersionMaker } from './version-maker.ts';
import { layerTimes } from './node-times.ts';
import type { LayerTimes } from './node-times.ts';
import { counted } from '../progress.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import { workThreads } from '../subject.ts';
import type { Subject } from '../subject.ts';
import type { Hooks } from '../types.ts';

/** A version that was made, and how it does on a few calibration samples. */
export interface Scored {
  readonly scheme: Scheme;
  readonly path: string;
  readonly bytes: number;
  readonly ops: readonly OpReport[];
  /** Null when its outputs are those of the float model. */
  readonly sqnrDb: number | null;
  /** One run with one thread, roughly. */
  readonly ms: number;
}

export interface ScorerOptions {
  readonly subject: Subject;
  readonly maker: VersionMaker;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
  /** Most samples to score on. */
  readonly samples: number;
  /** All that an analysis of the layers may take; 10 s unless told. */
  readonly analysisMs?: number | undefined;
}

/** The float model takes at most this long over the samples that versions are scored on. */
const SCORING_MS = 1000;
/** All that sensitivity analysis may take. */
const ANALYSIS_MS = 10_000;

/** About how long each of the two versions runs that layers are timed in. */
const PROFILE_MS = 500;

/**
 * Scores versions of a model against the float model on a few calibration samples, never on those
 * that judge the result. The child of the
 * run keeps the samples; models come and go in it.
 */
export class Scorer {
  readonly #options: ScorerOptions;
  readonly #threads: number;
  /** The child that has the samples. */
  #started: FitWorker | undefined;
  #sensitivity = new Map<string, Promise<Sensitivity>>();
  #scored = new Map<string, Promise<Scored>>();
  #times = new Map<string, Promise<LayerTimes>>();
  #floatMs = 0;

  constructor(options: ScorerOptions) {
    this.#options = options;
    this.#threads = workThreads(options.subject);
  }

  get refinements(): ReadonlySet<Refinement> {
    return this.#options.maker.refinements;
  }

  get signal(): AbortSignal {
    return this.#options.hooks.signal;
  }

  /** Makes a version and scores it; the same scheme is made only once. */
  score(scheme: Scheme): Promise<Scored> {
    const key = JSON.stringify(scheme);
    const known = this.#scored.get(key) ?? this.#score(scheme, this.#scored.size);
    this.#scored.set(key, known);
    return known;
  }

  /**
   * What each rounded thing of a static scheme does to the outputs by itself.
   * @param budgetMs in place of what the options say
   */
  sensitivity(scheme: Scheme, budgetMs = this.#options.analysisMs): Promise<Sensitivity> {
    const rounded = withoutMeasuring(scheme);
    const key = JSON.stringify([rounded, budgetMs]);
    const known = this.#sensitivity.get(key) ?? this.#analyse(rounded, budgetMs);
    this.#sensitivity.set(key, known);
    return known;
  }

  /** What each unit of a static scheme takes here, in float and in integers. */
  times(scheme: Scheme): Promise<LayerTimes> {
    const rounded = withoutMeasuring(scheme);
    const key = JSON.stringify(rounded);
    const known = this.#times.get(key) ?? this.#measureTimes(rounded);
    this.#times.set(key, known);
    return known;
  }

  /** Nodes in float, and with them what runs faster there. */
  async split(scheme: Scheme, float: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const { sources } = await this.sensitivity(scheme);
    return fastestSplit({ sources, times: await this.times(scheme) }, float);
  }

  /** One run of the float model with one thread, roughly. */
  async floatMs(): Promise<number> {
    if (this.#started === undefined) await this.#inChild(() => Promise.resolve());
    return this.#floatMs;
  }

  async #score(scheme: Scheme, name: string | number): Promise<Scored> {
    const { maker, scratch } = this.#options;
    const { model, ops } = await maker.make(scheme);
    const chunks = writeModel(model);
    const path = scratch.file(`scored-${name}${extensionOf(model)}`);
    await writeScratchFile(path, chunks);
    const args = { path, threads: 1 };
    const { sqnrDb, ms } = await this.#inChild((worker) =>
      worker.call('score', args, { timeoutMs: LOAD_TIMEOUT_MS }),
    );
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    return { scheme, path, bytes, ops, sqnrDb, ms };
  }

  async #analyse(scheme: Scheme, budgetMs = ANALYSIS_MS): Promise<Sensitivity> {
    const { maker, scratch, hooks } = this.#options;
    const parts = await maker.parts?.(scheme);
    const planned =
      parts === undefined ? undefined : planModel(parts.model, parts.statistics, scheme);
    const sources =
      planned === undefined ? [] : noiseSources(planned.graph, planned.plan, planned.statistics);
    if (parts === undefined || planned === undefined || sources.length === 0) {
      hooks.progress({ phase: 'looking for the sensitive layers' });
      return leaveOneOut(scheme, (one) => this.#score(one, 'left-out'), budgetMs);
    }
    const { model } = parts;
    const { graph, plan, statistics } = planned;
    const switched = addSwitches(graph, plan, sources, scheme);
    const path = scratch.file(`switched-${this.#sensitivity.size}.onnx`);
    await writeScratchFile(path, writeOnnx(withGraph(model, switched.graph)));
    const phase = 'looking for the sensitive layers';
    hooks.progress({ phase, done: 0, total: sources.length });
    const args = {
      path,
      input: switched.input,
      count: sources.length,
      budgetMs,
      threads: this.#threads,
    };
    const powers = await this.#inChild((worker) =>
      worker.call('scoreSwitches', args, {
        timeoutMs: LOAD_TIMEOUT_MS,
        onProgress: (value) => hooks.progress({ phase, ...counted(value) }),
      }),
    );
    return {
      sources: sources.map((source, number) => ({ ...source, noise: powers[number] ?? 0 })),
      units: unitWork(graph, plan, statistics),
    };
  }

  async #measureTimes(scheme: Scheme): Promise<LayerTimes> {
    const { maker, hooks } = this.#options;
    const parts = await maker.parts?.(scheme);
    if (parts === undefined) return { units: [], convertingMs: 0 };
    hooks.progress({ phase: 'timing the layers' });
    const { graph, plan, statistics } = planModel(parts.model, parts.statistics, scheme);
    const [float, integer] = [await this.score(noScheme), await this.score(scheme)];
    const args = { budgetMs: PROFILE_MS };
    const kernels = (path: string) =>
      this.#inChild((worker) =>
        worker.call('kernelTimes', { path, ...args }, { timeoutMs: LOAD_TIMEOUT_MS }),
      );
    return layerTimes(graph, unitWork(graph, plan, statistics), {
      float: await kernels(float.path),
      integer: await kernels(integer.path),
    });
  }

  /** Runs something in a child that has the samples and the float model's answers to them. */
  #inChild<T>(use: (worker: FitWorker) => Promise<T>): Promise<T> {
    const { scratch, hooks } = this.#options;
    return inChild({
      name: 'scoring versions',
      signal: hooks.signal,
      scratch,
      use: async (worker) => {
        if (this.#started !== worker) await this.#start(worker);
        return use(worker);
      },
    });
  }

  async #start(worker: FitWorker): Promise<void> {
    const { subject, samples } = this.#options;
    const job = subject.samples.calibration;
    if (job === null) throw new Error('there is nothing to score on without samples');
    const args = {
      path: subject.loaded.path,
      job,
      count: subject.calibrationInfo?.count ?? null,
      most: samples,
      budgetMs: SCORING_MS,
      threads: 1,
    };
    const { floatMs } = await worker.call('startScoring', args, { timeoutMs: LOAD_TIMEOUT_MS });
    this.#floatMs = floatMs;
    this.#started = worker;
  }
}

/** What measured biases shift is neither rounding nor time. */
function withoutMeasuring(scheme: Scheme): Scheme {
  return scheme.biases === 'measured' ? { ...scheme, biases: 'derived' } : scheme;
}
