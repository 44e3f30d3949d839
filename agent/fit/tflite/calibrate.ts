import type { ObserverNeeds } from '../../calibration/observers/accumulator.ts';
import type { AccumulatorState } from '../../calibration/observers/accumulator.ts';
import type { Collection } from '../../calibration/observers/statistics.ts';
import { exposeTensors } from '../../model/tflite/expose.ts';
import { writeTflite } from '../../model/tflite/open.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import type { TfliteModel } from '../../model/tflite/types.ts';
import { groupBySize } from '../calibrate/calibration-groups.ts';
import { LOAD_TIMEOUT_MS } from '../children.ts';
import type { FitWorker } from '../children.ts';
import { counted } from '../progress.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';

export interface TfliteCalibration {
  readonly needs: ObserverNeeds;
  readonly job: SampleJob;
  /** How many samples there are; null when nobody knows. */
  readonly count: number | null;
  readonly threads: number;
  /** Values that may leave the runtime in one run. */
  readonly exposedBytes?: number | undefined;
  readonly worker: FitWorker;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

const PHASE = 'calibrating';

/**
 * Observes tensors of a model over its calibration samples. TFLite reuses the memory of tensors in the
 * middle, so they are seen as outputs of a rewritten model: a slice of them in each pass, which bounds
 * the memory, and neighbours together, which spares the rest of the model.
 */
export async function calibrateTflite(
  model: TfliteModel,
  names: readonly string[],
  { needs, job, count, threads, exposedBytes, worker, scratch, hooks }: TfliteCalibration,
): Promise<Collection> {
  const states = new Map<string, AccumulatorState>();
  let samples = 0;
  const slices = slicesOf(model, names, exposedBytes);
  for (const [index, slice] of slices.entries()) {
    const path = scratch.file('calibration.tflite');
    // oxlint-disable-next-line no-await-in-loop -- one slice in memory at a time
    await writeScratchFile(path, writeTflite(exposeTensors(model, slice)));
    const total = count === null ? undefined : count * slices.length;
    hooks.progress({ phase: PHASE, done: index * (count ?? 0), total });
    // oxlint-disable-next-line no-await-in-loop -- as above
    const found = await worker.call(
      'calibrate',
      { path, job, tensors: slice, reduced: undefined, needs, threads, again: slices.length > 1 },
      {
        timeoutMs: LOAD_TIMEOUT_MS,
        onProgress: (value) => {
          const { done = 0 } = counted(value);
          hooks.progress({ phase: PHASE, done: index * (count ?? 0) + done, total });
        },
      },
    );
    samples = Math.max(samples, found.samples);
    for (const [name, state] of found.tensors) states.set(name, state);
  }
  const ordered = names.flatMap((name) => {
    const state = states.get(name);
    return state === undefined ? [] : [[name, state] as const];
  });
  return { samples, tensors: new Map(ordered) };
}

/** Tensors in the order of the file, in slices below a limit or, where it is more, one tensor. */
function slicesOf(
  model: TfliteModel,
  names: readonly string[],
  bytes: number | undefined,
): readonly (readonly string[])[] {
  const [graph] = model.subgraphs;
  const unique = graph === undefined ? [] : uniqueTensorNames(graph);
  const shapes = new Map(graph?.tensors.map(({ shape }, at) => [unique[at] ?? '', shape]));
  const tensors = names.map((name) => {
    return { name, dtype: 'float32' as const, shape: shapes.get(name) ?? [] };
  });
  return groupBySize(tensors, bytes).map((group) => group.map(({ name }) => name));
}
