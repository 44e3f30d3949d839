import type { Collection } from '../../calibration/observers/statistics.ts';
import { exposeTensors } from '../../model/onnx/expose.ts';
import { writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { outline } from '../../model/onnx/outline.ts';
import { RuntimeFailure } from '../../runtime/errors.ts';
import type { TensorDescription } from '../../runtime/types.ts';
import { isFloat, isReducible } from './calibration-groups.ts';
import { CalibrationPasses } from './calibration-passes.ts';
import type { Calibration } from './calibration-passes.ts';
import { LOAD_TIMEOUT_MS } from '../children.ts';
import { writeScratchFile } from '../scratch.ts';

/**
 * Runs a model over its calibration samples and observes tensors, in memory that grows neither with
 * the samples nor with the number of tensors. Extremes and channel means come from reductions inside
 * the runtime, in one pass over the samples. Histograms need values: they are taken from a group of
 * tensors at a time, with a pass for each, and of large tensors from an even choice of their values.
 */
export async function calibrate(calibration: Calibration): Promise<Collection> {
  const { model, tensors, needs } = calibration;
  const known = await inferTypes(calibration);
  const inputs = new Set(model.graph.input.map(({ name }) => name ?? ''));
  const fed = tensors.filter((name) => inputs.has(name));
  const floats = known.filter(({ name, dtype }) => isFloat(dtype) && !inputs.has(name));
  const passes = new CalibrationPasses(calibration);
  await reduceOrObserve(passes, fed, floats, needs.histogram);
  return passes.collection(tensors);
}

/** From what the runtime makes of the tensors as far as it goes, from the tensors themselves otherwise. */
async function reduceOrObserve(
  passes: CalibrationPasses,
  fed: readonly string[],
  floats: readonly TensorDescription[],
  histograms: boolean,
): Promise<void> {
  const reducible = floats.filter(isReducible);
  const others = floats.filter((tensor) => !isReducible(tensor));
  try {
    if (histograms) {
      await passes.sample(fed, reducible);
      if (others.length > 0) await passes.observe([], others);
    } else await passes.reduce(reducible, [...fed, ...others.map(({ name }) => name)]);
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
export async function inferTypes({
  model,
  tensors,
  worker,
  scratch,
}: Pick<Calibration, 'model' | 'tensors' | 'worker' | 'scratch'>): Promise<
  readonly TensorDescription[]
> {
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
