import type { Collection } from '../../calibration/observers/statistics.ts';
import { exposeTensors } from '../../model/tflite/expose.ts';
import { writeTflite } from '../../model/tflite/open.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import type { TfliteModel } from '../../model/tflite/types.ts';
import { groupBySize } from '../calibrate/calibration-groups.ts';
import { Findings, runPass } from '../calibrate/calibration-run.ts';
import type { CalibrationRun } from '../calibrate/calibration-run.ts';
import { writeScratchFile } from '../scratch.ts';

/**
 * Observes tensors of a model over its calibration samples. TFLite reuses the memory of tensors in the
 * middle, so they are seen as outputs of a rewritten model: a slice of them in each pass, which bounds
 * the memory, and neighbours together, which spares the rest of the model.
 */
export async function calibrateTflite(
  model: TfliteModel,
  names: readonly string[],
  run: CalibrationRun,
): Promise<Collection> {
  const { needs, job, exposedBytes, scratch } = run;
  const findings = new Findings();
  const slices = slicesOf(model, names, exposedBytes);
  for (const [index, tensors] of slices.entries()) {
    const path = scratch.file('calibration.tflite');
    // oxlint-disable-next-line no-await-in-loop -- one slice in memory at a time
    await writeScratchFile(path, writeTflite(exposeTensors(model, tensors)));
    const pass = { path, job, tensors, needs, again: slices.length > 1 };
    // oxlint-disable-next-line no-await-in-loop -- as above
    findings.keep(await runPass(run, pass, { index, of: slices.length }));
  }
  return findings.collection(names);
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
