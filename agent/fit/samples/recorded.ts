import { FEW_SAMPLES } from '../../calibration/samples/open.ts';
import { heldIn, readSet, sameInputs } from '../../calibration/recording/set.ts';
import type { BenchReport } from '../../contracts/bench.ts';
import type { InputSpec } from '../../contracts/manifest.ts';
import { elementTypes } from '../../contracts/element-types.ts';
import type { ModelInput } from '../../contracts/recorded.ts';
import type { SessionDescription } from '../../runtime/types.ts';
import { fileError } from '../../util/files.ts';
import { splitSamples } from './sample-jobs.ts';
import type { SampleJob, SampleSets } from './sample-jobs.ts';

/** Inputs that the application on this device handed over, where they were asked for. */
export type RecordedSamples = NonNullable<BenchReport['samples']['recorded']>;

/**
 * What samples of a model must bring: its inputs, but for those that are constant; null where one of
 * them is text, which is not recorded.
 */
export function recordableInputs(
  specs: Readonly<Record<string, InputSpec>>,
  { inputs }: SessionDescription,
): readonly ModelInput[] | null {
  const found: ModelInput[] = [];
  for (const { name, dtype, shape } of inputs) {
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec !== undefined && 'constant' in spec) continue;
    const element = elementTypes.find((one) => one === dtype);
    if (element === undefined) return null;
    const image = spec !== undefined && 'image' in spec ? { image: spec.image } : {};
    found.push({ name, dtype: element, shape: [...shape], ...image });
  }
  return found;
}

/**
 * Whether a folder of recorded samples can calibrate this model: they are of the same inputs, and
 * there are `FEW_SAMPLES` of them. Throws FileError.
 */
export async function lookAtRecorded(
  folder: string,
  inputs: readonly ModelInput[] | null,
): Promise<RecordedSamples> {
  try {
    const set = await readSet(folder);
    const samples = set === null ? 0 : (await heldIn(folder)).length;
    const why =
      set === null
        ? 'nothing is recorded'
        : inputs === null || !sameInputs(set.inputs, [...inputs])
          ? 'they were recorded for other inputs'
          : samples < FEW_SAMPLES
            ? `there are ${samples}, ${FEW_SAMPLES} are needed`
            : null;
    return { samples, used: why === null, why };
  } catch (error) {
    throw fileError('read recorded samples from', folder, error);
  }
}

/** The samples of the package go on judging; where there are none, recorded ones do both. */
export function withRecorded(
  samples: SampleSets,
  folder: string,
  { samples: count, used, why }: RecordedSamples,
  how: Pick<SampleJob, 'inputs' | 'image' | 'audio'>,
): SampleSets {
  if (!used) {
    const warning = `the samples recorded on this device were not used: ${why ?? ''}`;
    return { ...samples, warnings: [...samples.warnings, warning] };
  }
  const job: SampleJob = { origin: { path: folder }, ...how };
  if (samples.evaluation === null) return splitSamples(job, count);
  return { calibration: job, evaluation: samples.evaluation, warnings: [] };
}
