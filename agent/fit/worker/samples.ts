import type { InputFlags, InputSpecs } from '../../calibration/inputs.ts';
import type { SampleSource } from '../../calibration/samples/types.ts';
import type { InputSpec } from '../../contracts/manifest.ts';
import type { SessionDescription } from '../../runtime/types.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { spooledSource } from '../samples/spool.ts';

/** The samples that a job names, made for the inputs of a model, and what was assumed of these. */
export async function openJob(
  job: SampleJob,
  description: SessionDescription,
  /** Ends a command that captures samples. */
  signal?: AbortSignal,
): Promise<{ source: SampleSource; assumed: readonly string[] }> {
  const { origin } = job;
  if ('spool' in origin) return { source: spooledSource(origin, job), assumed: [] };
  const { openSamples } = await import('../../calibration/samples/open.ts');
  const { inputs, assumed } = await specsFor(job, description);
  const range = { from: job.from, to: job.to, signal };
  const source = await openSamples(origin, inputs, description, range);
  return { source, assumed };
}

/** How the values of each input are made, guesses included. */
export function specsFor(job: SampleJob, description: SessionDescription): Promise<InputSpecs> {
  const { width, height, ...image } = job.image;
  const size = width === undefined || height === undefined ? {} : { imageSize: { width, height } };
  const given = Object.fromEntries(
    Object.entries(job.inputs).map(([name, spec]) => [name, withImage(spec, job.image)]),
  );
  const audio = job.audio === undefined ? {} : { audio: job.audio };
  return inputSpecs(description, { ...image, ...size, ...audio }, given);
}

/** What is given completely needs no guessing, and its schemas, which take their time, no loading. */
async function inputSpecs(
  description: SessionDescription,
  flags: InputFlags,
  given: InputSpecs['inputs'],
): Promise<InputSpecs> {
  const complete = description.inputs.every(({ name }) => Object.hasOwn(given, name));
  if (complete && Object.keys(flags).length === 0) return { inputs: given, assumed: [] };
  const { inputSpecsFromModel } = await import('../../calibration/inputs.ts');
  return inputSpecsFromModel(description, flags, given);
}

function withImage(spec: InputSpec, image: SampleJob['image']): InputSpec {
  return 'image' in spec ? { image: { ...spec.image, ...image } } : spec;
}
