import { dirname, join } from 'node:path';
import type { ModelPackage } from '../../calibration/package.ts';
import { readPackage } from '../../calibration/package.ts';
import type { InspectReport, InspectedModel } from '../../contracts/inspect.ts';
import { contentsOf } from '../../model/contents.ts';
import { messageOf } from '../../util/errors.ts';
import { checkCanWriteFile, isSameFile, writeOutputFile } from '../../util/files.ts';
import type { Feeds, SessionDescription } from '../../runtime/types.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import type { FitWorker } from '../children.ts';
import { FitError } from '../errors.ts';
import { drawComparison } from './inspect-chart.ts';
import { compareModels } from './inspect-compare.ts';
import { loadModel } from '../model-file.ts';
import type { LoadedModel } from '../model-file.ts';
import { manifestSamples } from '../samples/sample-jobs.ts';
import { withScratch } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import { openSubject } from '../subject.ts';
import { summarize } from '../summary.ts';
import { mayMissGuess, syntheticFeeds } from '../samples/synthetic.ts';
import type { Hooks, InspectRequest } from '../types.ts';

/** A model that was read, and what the user named. */
export interface ReadModel {
  readonly package: ModelPackage;
  readonly loaded: LoadedModel;
}

/** What is in a model; with a second one, how far each of its layers is from the first. */
export async function inspectModel(request: InspectRequest, hooks: Hooks): Promise<InspectReport> {
  const { chart, quantizedPath } = request;
  if (chart !== undefined) await checkCanWriteFile(chart);
  return withScratch((scratch) =>
    quantizedPath === undefined
      ? inspectOne(request, scratch, hooks)
      : inspectTwo({ ...request, quantizedPath }, scratch, hooks),
  );
}

async function inspectOne(
  { modelPath }: InspectRequest,
  scratch: Scratch,
  hooks: Hooks,
): Promise<InspectReport> {
  hooks.progress({ phase: 'reading the model' });
  const model = await readModel(modelPath);
  const { integerCoverage, warnings } = await coverageOf(model, scratch, hooks);
  return { schema: 'edgefit/inspect/1', model: describe(model), integerCoverage, warnings };
}

async function inspectTwo(
  request: InspectRequest & { readonly quantizedPath: string },
  scratch: Scratch,
  hooks: Hooks,
): Promise<InspectReport> {
  const { modelPath, quantizedPath, chart } = request;
  hooks.progress({ phase: 'reading the model' });
  const quantized = await readModel(quantizedPath);
  const subject = await openSubject(request, scratch, hooks);
  if (chart !== undefined) await refuseOverwriting(chart, [subject, quantized]);
  const names = { float: modelPath, quantized: quantizedPath };
  const limits = { limit: request.limit, names };
  const compared = await compareModels(subject, quantized, limits, scratch, hooks);
  const { integerCoverage, warnings } = await coverageOf(quantized, scratch, hooks);
  const report: InspectReport = {
    schema: 'edgefit/inspect/1',
    model: describe(subject),
    integerCoverage,
    quantized: describe(quantized),
    comparison: compared.comparison,
    warnings: [...compared.warnings, ...warnings],
  };
  if (chart !== undefined) await writeOutputFile(chart, drawComparison(report, chart));
  return report;
}

async function readModel(path: string): Promise<ReadModel> {
  const described = await readPackage(path);
  return { package: described, loaded: await loadModel(described.modelPath) };
}

/** A drawing must not take the place of a model, its manifest or its weights. */
async function refuseOverwriting(chart: string, models: readonly ReadModel[]): Promise<void> {
  const paths = models.flatMap(({ package: { manifestPath }, loaded: { path, companions } }) => [
    manifestPath ?? path,
    path,
    ...companions.map((name) => join(dirname(path), name)),
  ]);
  const same = await Promise.all(paths.map((path) => isSameFile(path, chart)));
  if (!same.includes(true)) return;
  throw new FitError('bad-output', `${chart} is one of the models: give another name`);
}

function describe({ package: { name }, loaded }: ReadModel): InspectedModel {
  const { model, path, sha256, bytes } = loaded;
  const { form, ...contents } = contentsOf(model);
  const { precision } = summarize(model, { name, bytes });
  return {
    name,
    path,
    sha256,
    format: model.format,
    bytes,
    precision,
    form,
    irVersion: contents.irVersion,
    producer: contents.producer,
    opsets: [...contents.opsets],
    inputs: contents.inputs.map((value) => ({ ...value, shape: value.shape && [...value.shape] })),
    outputs: contents.outputs.map((value) => ({
      ...value,
      shape: value.shape && [...value.shape],
    })),
    parameters: [...contents.parameters],
    ops: [...contents.ops],
    layers: [...contents.layers],
  };
}

/** Runs the model once. What cannot run here can still be looked at: then the reason is a warning. */
async function coverageOf(
  { package: described, loaded: { path } }: ReadModel,
  scratch: Scratch,
  { signal, progress }: Hooks,
): Promise<{ integerCoverage: number | null; warnings: string[] }> {
  progress({ phase: 'measuring integer coverage' });
  const timeout = { timeoutMs: LOAD_TIMEOUT_MS };
  const { evaluation: job } = manifestSamples(described, { image: {} });
  try {
    return await inChild({
      name: 'integer coverage',
      signal,
      scratch,
      use: async (worker) => {
        const description = await worker.call('describe', { path }, timeout);
        const first =
          job === null ? null : await worker.call('firstFeeds', { job, description }, timeout);
        const feeds = first ?? (await madeUp(worker, { path, description }));
        const ran = await worker.call('coverage', { path, feeds }, timeout);
        const warnings = ran.problem === undefined ? [] : [unknownCoverage(ran.problem)];
        return { integerCoverage: ran.integerCoverage, warnings };
      },
    });
  } catch (error) {
    signal.throwIfAborted();
    return { integerCoverage: null, warnings: [unknownCoverage(messageOf(error))] };
  }
}

async function madeUp(
  worker: FitWorker,
  model: { readonly path: string; readonly description: SessionDescription },
): Promise<Feeds> {
  const { description } = model;
  const guess = mayMissGuess(description)
    ? await worker.call('guessSizes', model, { timeoutMs: LOAD_TIMEOUT_MS })
    : undefined;
  return syntheticFeeds(description, guess ?? undefined);
}

function unknownCoverage(why: string): string {
  return `integer coverage is not known: ${why}`;
}
