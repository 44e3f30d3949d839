import type { InputFlags } from '../../calibration/inputs.ts';
import type { ModelPackage } from '../../calibration/package.ts';
import type { SampleOrigin } from '../../calibration/samples/open.ts';
import type { ImageSpec, InputSpec, SampleSetSpec } from '../../contracts/manifest.ts';
import type { Spool } from './spool.ts';
import type { SampleSource } from '../types.ts';

/** Samples to be read by a child process: plain data. */
export interface SampleJob {
  readonly origin: SampleOrigin | Spool;
  /** What is known of the inputs; the rest is guessed from the model. */
  readonly inputs: Readonly<Record<string, InputSpec>>;
  readonly image: Partial<ImageSpec>;
  readonly audio?: InputFlags['audio'];
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

export interface SampleInfo {
  readonly count: number | null;
  readonly labelled: boolean;
  readonly describe: string;
  readonly warnings: readonly string[];
}

export interface SampleSets {
  readonly calibration: SampleJob | null;
  readonly evaluation: SampleJob | null;
  readonly warnings: readonly string[];
}

/** Calibration gains little beyond this; what is left over measures accuracy. */
const MOST_CALIBRATION_SAMPLES = 200;
/** A command may go on for ever. */
export const MOST_COMMAND_SAMPLES = 1000;
/** Fewer than this are not worth splitting. */
const FEWEST_TO_SPLIT = 8;

/** The whole of what the user pointed at, before it is split; null when the manifest decides. */
export function requestedSamples(
  model: ModelPackage,
  source: SampleSource,
  flags: Pick<SampleJob, 'image' | 'audio'>,
): SampleJob | null {
  const how = { inputs: model.inputs, ...flags };
  if (source.command !== undefined) return { origin: { command: source.command }, ...how };
  return source.path === undefined ? null : { origin: { path: source.path }, ...how };
}

/** One set of samples for two purposes: ranges are learned on the first part, judged on the rest. */
export function splitSamples(job: SampleJob, count: number | null): SampleSets {
  if (count === null || count < FEWEST_TO_SPLIT) {
    const why =
      count === null
        ? 'nobody knows how many samples there are'
        : `there are only ${count} samples`;
    const warning = `${why}: the same ones calibrate and judge, which flatters the result`;
    return { calibration: job, evaluation: job, warnings: [warning] };
  }
  const middle = Math.min(MOST_CALIBRATION_SAMPLES, Math.floor(count / 2));
  return {
    calibration: { ...job, from: 0, to: middle },
    evaluation: { ...job, from: middle, to: count },
    warnings: [],
  };
}

/** The sets that a manifest names. */
export function manifestSamples(
  model: ModelPackage,
  flags: Pick<SampleJob, 'image' | 'audio'>,
): SampleSets {
  const job = (set: SampleSetSpec | null): SampleJob | null =>
    set === null
      ? null
      : { origin: { path: set.path }, inputs: model.inputs, ...flags, from: set.from, to: set.to };
  const calibration = job(model.calibration ?? model.evaluation);
  const evaluation = job(model.evaluation ?? model.calibration);
  const both = model.calibration !== null && model.evaluation !== null;
  const warning = 'the manifest names one set of samples: it calibrates and judges';
  return { calibration, evaluation, warnings: both || calibration === null ? [] : [warning] };
}
