import type { CountedSet, PackContents, PackVariantFile } from '../model/manifest/contents.ts';
import type { VariantSpec } from '../contracts/manifest.ts';
import { recognizeTflite } from '../quantize/tflite/recognize.ts';
import { messageOf } from '../util/errors.ts';
import { LOAD_TIMEOUT_MS, inChild } from './children.ts';
import { FitError } from './errors.ts';
import { loadModel } from './model-file.ts';
import type { LoadedModel } from './model-file.ts';
import { runtimeFor } from './candidates/runtimes.ts';
import type { SampleJob } from './samples/sample-jobs.ts';
import { withScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { openSubject } from './subject.ts';
import type { Subject } from './subject.ts';
import { summarize } from './summary.ts';
import type { Hooks, PackInput } from './types.ts';
import { describeModel } from './candidates/variant-file.ts';

/**
 * Opens all that a package is to be made of, as a device will: the model is loaded, the samples are
 * counted, the manifest is held against both. Throws what `bench` would throw, and FitError.
 */
export async function openForPack(request: PackInput, hooks: Hooks): Promise<PackContents> {
  return withScratch(async (scratch) => {
    const subject = await openSubject(request, scratch, hooks);
    const { package: described, loaded, samples } = subject;
    await readFirstSamples(subject, scratch, hooks);
    // A translated model is a file of this run: the package gets the given one.
    const original = await loadModel(described.modelPath);
    const variants: PackVariantFile[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one model in memory at a time
    for (const spec of described.variants) variants.push(await declared(spec));
    // oxlint-disable-next-line no-await-in-loop -- as above
    for (const path of request.variants) variants.push(await describeVariant(path));
    return {
      name: described.name,
      version: described.version,
      model: fileOf(original),
      inputs: await inputsOf(request, subject, scratch, hooks),
      task: described.task,
      labels: described.labels,
      calibration: setOf(samples.calibration, subject.calibrationInfo?.count ?? null),
      evaluation: setOf(samples.evaluation, subject.evaluationInfo?.count ?? null),
      variants,
      gates: described.gates,
      extra: described.extra,
      integerOnly: isIntegerOnly(loaded.model),
      warnings: warningsOf(subject),
    };
  });
}

/** A device would find out after the download that a sample cannot be read. */
async function readFirstSamples(
  { samples, description }: Subject,
  scratch: Scratch,
  { signal }: Hooks,
): Promise<void> {
  const jobs = [samples.calibration, samples.evaluation].filter((job) => job !== null);
  if (jobs.length === 0) return;
  await inChild({
    name: 'reading the first samples',
    signal,
    scratch,
    use: async (worker) => {
      for (const job of jobs) {
        // oxlint-disable-next-line no-await-in-loop -- one worker
        await worker.call('firstFeeds', { job, description }, { timeoutMs: LOAD_TIMEOUT_MS });
      }
    },
  });
}

function fileOf({ path, companions, model }: LoadedModel): PackContents['model'] {
  return { path, companions, format: model.format };
}

function warningsOf({ package: described, samples, calibrationInfo }: Subject): readonly string[] {
  const none =
    samples.calibration === null
      ? ['no samples: a device can neither calibrate this model nor judge a version of it']
      : [];
  const published =
    Object.keys(described.published).length === 0
      ? []
      : ['published versions are left out: give --variant FILE to have one measured on devices'];
  return [...samples.warnings, ...(calibrationInfo?.warnings ?? []), ...none, ...published];
}

/** As the manifest has them, unless options or guesses say more. */
async function inputsOf(
  { image, audio }: PackInput,
  { package: { inputs, manifestPath }, samples, description }: Subject,
  scratch: Scratch,
  { signal }: Hooks,
): Promise<PackContents['inputs']> {
  const job = samples.calibration ?? samples.evaluation;
  const asGiven = Object.keys(image).length === 0 && audio === undefined;
  if (job === null || (manifestPath !== null && asGiven)) return inputs;
  return inChild({
    name: 'reading the inputs',
    signal,
    scratch,
    use: (worker) =>
      worker.call('inputSpecs', { job, description }, { timeoutMs: LOAD_TIMEOUT_MS }),
  });
}

function setOf(job: SampleJob | null, count: number | null): CountedSet | null {
  if (job === null || count === null || !('path' in job.origin)) return null;
  const { from, to } = job;
  return {
    path: job.origin.path,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    count,
  };
}

function isIntegerOnly(model: Subject['loaded']['model']): boolean {
  if (model.format !== 'tflite') return false;
  const { kind, counts } = recognizeTflite(model);
  return (kind === 'int8' || kind === 'uint8') && counts.float + counts.hybrid === 0;
}

/** A variant of the manifest keeps what is said of it there. */
async function declared({
  path,
  sha256,
  precision,
  runtime,
  accelerators,
  ops,
}: VariantSpec): Promise<PackVariantFile> {
  const found = await describeVariant(path);
  if (sha256 !== undefined && sha256 !== found.sha256) {
    const why = 'its sha256 differs from the one in the manifest';
    throw new FitError('bad-manifest', `${path} cannot be packed: ${why}`);
  }
  const given = { ...(accelerators && { accelerators }), ...(ops && { ops }) };
  return { ...found, spec: { precision, runtime, ...given } };
}

/** What a model file that is ready to run is. Throws FitError with the path. */
export async function describeVariant(
  path: string,
): Promise<PackVariantFile & { readonly onCpu: number | null; readonly sha256: string }> {
  const loaded = await loadModel(path);
  const { model, companions, sha256 } = loaded;
  const { compiledFor, onCpu } = describeModel(model);
  if (compiledFor === 'Ethos-U') {
    throw new FitError('bad-option', `${path} is compiled for Ethos-U: no device runs it`);
  }
  const precision = summary(path, loaded).precision;
  return {
    path,
    companions,
    format: model.format,
    sha256,
    spec: {
      precision,
      runtime: runtimeFor(model),
      ...(compiledFor === null ? {} : { accelerators: ['edgetpu-usb', 'edgetpu-pcie'] }),
    },
    onCpu: compiledFor === null ? null : [...onCpu.values()].reduce((sum, n) => sum + n, 0),
  };
}

function summary(path: string, { model, bytes }: Awaited<ReturnType<typeof loadModel>>) {
  try {
    return summarize(model, { name: path, bytes });
  } catch (error) {
    throw new FitError('bad-option', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
