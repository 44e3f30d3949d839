import type { Collection } from '../calibration/observers/statistics.ts';
import { exposeTensors } from '../model/onnx/expose.ts';
import { writeOnnx } from '../model/onnx/open.ts';
import type { OnnxModel } from '../model/onnx/open.ts';
import { outline } from '../model/onnx/outline.ts';
import { RuntimeFailure } from '../runtime/errors.ts';
import type { TensorDescription } from '../runtime/types.ts';
import { isFloat, isReducible } from './calibration-groups.ts';
import { CalibrationPasses } from './calibration-passes.ts';
import type { Calibration } from './calibration-passes.ts';
import { LOAD_TIMEOUT_MS } from './children.ts';
import { writeScratchFile } from './scratch.ts';

/**
 * Runs a model over its calibration samples and observes tensors, in memory that grows neither with
 * the samples nor with the number of tensors. Extremes and channel means come from reductions inside
 * the runtime, in one pass over the samples. Histograms need the values: they are taken from a group
 * of tensors at a time, with a pass for each.
 */
export async function calibrate(calibration: Calibration): Promise<Collection> {
  const { model, tensors, needs } = calibration;
  const known = await inferTypes(calibration);
  const inputs = new Set(model.graph.input.map(({ name }) => name ?? ''));
  const fed = tensors.filter((name) => inputs.has(name));
  const floats = known.filter(({ name, dtype }) => isFloat(dtype) && !inputs.has(name));
  const passes = new CalibrationPasses(calibration);
  if (needs.histogram) {
    const sized = await withSizes(passes, floats);
    await passes.observe(fed, sized);
  } else {
    await reduceOrObserve(passes, fed, floats);
  }
  return passes.collection(tensors);
}

/** Extremes and means: from reductions as far as they go, from the values themselves otherwise. */
async function reduceOrObserve(
  passes: CalibrationPasses,
  fed: readonly string[],
  floats: readonly TensorDescription[],
): Promise<void> {
  const reducible = floats.filter(isReducible);
  const others = floats.filter((tensor) => !isReducible(tensor));
  try {
    await passes.reduce(reducible, [...fed, ...others.map(({ name }) => name)]);
  } catch (error) {
    // Reductions are not defined for tensors without values, for one.
    if (!isRunFailure(error)) throw error;
    await passes.observe(fed, floats);
  }
}

const isRunFailure = (error: unknown) =>
  error instanceof RuntimeFailure && error.code === 'RUN_FAILED';

/** A model that is not taken as it is. */
const REFUSALS: ReadonlySet<string> = new Set(['INVALID_MODEL', 'UNSUPPORTED']);

/** The types and shapes of tensors as the runtime infers them; of an outline, where it takes one. */
async function inferTypes({ model, tensors, worker, scratch }: Calibration) {
  const small = outline(model);
  const infer = async (from: OnnxModel): Promise<readonly TensorDescription[]> => {
    const path = scratch.file('types.onnx');
    await writeScratchFile(path, writeOnnx(exposeTensors(from, tensors)));
    return worker.call('infer', { path }, { timeoutMs: LOAD_TIMEOUT_MS });
  };
  const wanted = new Set(tensors);
  const described = small === null ? await infer(model) : await infer(small).catch(onRefusal);
  return described.filter(({ name }) => wanted.has(name));

  function onRefusal(error: unknown) {
    if (!(error instanceof RuntimeFailure) || !REFUSALS.has(error.code)) throw error;
    return infer(model);
  }
}

/** Fills in the sizes that only a run shows, by that of the first sample. */
async function withSizes(
  passes: CalibrationPasses,
  tensors: readonly TensorDescription[],
): Promise<readonly TensorDescription[]> {
  const open = tensors
    .filter(isReducible)
    .filter(({ shape }) => shape.some((size) => typeof size !== 'number'));
  if (open.length === 0) return tensors;
  const shapes = await passes.shapes(open).catch((error: unknown) => {
    if (isRunFailure(error)) return new Map<string, readonly number[]>();
    throw error;
  });
  return tensors.map((tensor) => ({ ...tensor, shape: shapes.get(tensor.name) ?? tensor.shape }));
}
