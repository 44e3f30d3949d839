import type { Scheme } from '../../contracts/scheme.ts';
import { hasRanges } from '../make/recipe.ts';
import { exposeTensors } from '../../model/onnx/expose.ts';
import { writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { equalize, tensorsToEqualize } from '../../quantize/onnx/equalize/equalize.ts';
import type { Equalized } from '../../quantize/onnx/equalize/equalize.ts';
import { inferTypes } from './calibrate.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import type { FitWorker } from '../children.ts';
import { counted } from '../progress.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';

/** With a quarter of these, factors followed the samples too closely, and cost more than they gained. */
export const MOST_SAMPLES = 64;

/** Values that can be looked at in a moment, for equalizing where nobody asked for it. */
const CHEAP_VALUES = 2 ** 24;

export interface EqualizeHow {
  readonly job: SampleJob;
  readonly threads: number;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
  /** Alpha of SmoothQuant; the one with the least predicted noise where it is not given. */
  readonly strength?: number | undefined;
  /** Leaves the model alone where more values than this would be looked at. */
  readonly mostValues?: number | undefined;
}

export interface EqualizeRequest extends EqualizeHow {
  readonly prepared: OnnxModel;
}

/** How much work a scheme lets equalizing be; undefined where channels are to stay as they are. */
export function effortOf(scheme: Scheme): Pick<EqualizeHow, 'strength' | 'mostValues'> | undefined {
  const { equalize: asked, activations, weights, perChannel, smooth } = scheme;
  // What it gains is predicted for 8-bit activations and weights with a scale per channel.
  if (asked === false || !perChannel || weights !== 's8' || activations === 's16') return undefined;
  // Ranges that rules give are those of the tensors as they are; asked for together, both are refused.
  if (hasRanges(scheme)) return undefined;
  return asked === true ? { strength: smooth } : { mostValues: CHEAP_VALUES };
}

export interface EqualizedOnce extends Equalized {
  /** Whether it would be the same without a limit to the values looked at. */
  readonly isWhole: boolean;
}

/** Looks at the channels of a prepared model on calibration samples and equalizes it. */
export function equalizeModel(request: EqualizeRequest): Promise<EqualizedOnce> {
  const { prepared, job, threads, scratch, hooks, mostValues = Infinity } = request;
  const phase = 'looking at channels';
  hooks.progress({ phase });
  return inChild({
    name: 'equalization',
    signal: hooks.signal,
    scratch,
    use: async (worker) => {
      const args = { timeoutMs: LOAD_TIMEOUT_MS };
      const all = prepared.graph.node.flatMap(({ output }) => output.filter((name) => name !== ''));
      const path = scratch.file('channels.onnx');
      const shapes = await shapesOf(all, request, worker);
      const targets = tensorsToEqualize(prepared.graph, shapes);
      const names = targets.map(({ name }) => name);
      const isDear = valuesToLookAt(names, shapes) > mostValues;
      // Shapes that only a run shows may make more of it.
      const isWhole = !isDear && all.every((name) => shapes.has(name));
      if (names.length === 0 || isDear) return { model: prepared, groups: [], isWhole };
      await writeScratchFile(path, writeOnnx(exposeTensors(prepared, names)));
      const ranges = await worker.call(
        'channelRanges',
        { path, job, threads, targets, most: MOST_SAMPLES },
        { ...args, onProgress: (value) => hooks.progress({ phase, ...counted(value) }) },
      );
      const { strength } = request;
      return { ...equalize(prepared, shapes, ranges, { strength }), isWhole };
    },
  });
}

/**
 * Shapes of tensors: as one run shows them; or, where equalizing must stay cheap, as far as they can
 * be told without a run, whose outputs would all be in memory at once.
 */
async function shapesOf(
  tensors: readonly string[],
  { prepared: model, job, threads, scratch, mostValues }: EqualizeRequest,
  worker: FitWorker,
): Promise<ReadonlyMap<string, readonly number[]>> {
  if (mostValues === undefined) {
    const path = scratch.file('shapes.onnx');
    await writeScratchFile(path, writeOnnx(exposeTensors(model, tensors)));
    return worker.call('shapes', { path, job, threads }, { timeoutMs: LOAD_TIMEOUT_MS });
  }
  const known = await inferTypes({ model, tensors, worker, scratch });
  return new Map(
    known.flatMap(({ name, shape }) => {
      // The batch is left open by most exporters; samples have one each.
      const sizes = shape.map((size, axis) => (axis === 0 && typeof size !== 'number' ? 1 : size));
      const numbers = sizes.filter((size) => typeof size === 'number');
      return numbers.length === sizes.length ? [[name, numbers] as const] : [];
    }),
  );
}

/** How many values the tensors have, over the samples that are looked at. */
export function valuesToLookAt(
  names: readonly string[],
  shapes: ReadonlyMap<string, readonly number[]>,
): number {
  return names
    .map((name) => (shapes.get(name) ?? []).reduce((product, size) => product * size, 1))
    .reduce((sum, size) => sum + MOST_SAMPLES * size, 0);
}
