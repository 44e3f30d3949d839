import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { decisionSchema, type DecisionRecord } from '../../../contracts/fit.ts';
import type { DeployJob, FitJob, Policy } from '../../../contracts/job.ts';
import { calibrationSources, type CalibrationSource } from '../../../contracts/manifest.ts';
import { hashOfFile } from '../../../deploy/hash.ts';
import { move, removeDurably } from '../../../util/durable.ts';
import { codeOf, messageOf } from '../../../util/errors.ts';
import { makeFolderDurably } from '../../../util/files.ts';
import { calibrationOf, decisionTable, RECORD_FILE } from '../decisions.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import { mustEndWell } from './child.ts';
import type { WorkContext } from './context.ts';
import { packageFolder } from './fetch.ts';
import { needed, readFindings } from './findings.ts';
import { missedGate, strictest, type Limits } from './limits.ts';
import { snapshotRecorded, type Snapshot } from './recorded.ts';
import type { Wanted } from './stage.ts';

/** Fitted models that are kept in case the same package comes again. */
const MAX_CACHED = 4;

/** What the package asks of this device; whatever else it says is read by who measures. */
const manifestSchema = z.looseObject({
  policy: z.looseObject({ calibration: z.enum(calibrationSources).optional() }).optional(),
  gates: z
    .looseObject({
      maxAccuracyDrop: z.number().optional(),
      minSqnrDb: z.number().optional(),
      maxP90Ms: z.number().optional(),
      maxRssBytes: z.number().optional(),
    })
    .optional(),
});

/**
 * Quantizes, calibrates and measures the package on this device in a child, and keeps the winner if it
 * is within all limits. What was fitted before from the same package, by the same agent on the same
 * kind of device, is used again.
 */
export async function fit(
  input: PhaseInput,
  job: DeployJob | FitJob,
  model: Wanted,
  context: WorkContext,
): Promise<PhaseFindings> {
  const manifest = join(packageFolder(model, context), 'manifest.json');
  const { gates = {}, policy } = await readManifest(manifest);
  const limits = strictest(job.policy, gates);
  const options = optionsOf(job.policy, limits);
  const wanted = job.policy?.calibration ?? policy?.calibration ?? 'package';
  const recorded = wanted === 'recorded' ? await snapshotRecorded(model.name, context) : null;
  try {
    return await fitWith({ job, manifest, limits, options, recorded, wanted }, input, context);
  } finally {
    await recorded?.remove();
  }
}

interface Fitting {
  readonly job: DeployJob | FitJob;
  readonly manifest: string;
  readonly limits: Limits;
  readonly options: readonly string[];
  readonly wanted: CalibrationSource;
  readonly recorded: Snapshot | null;
}

async function fitWith(
  { job, manifest, limits, options, recorded, wanted }: Fitting,
  input: PhaseInput,
  context: WorkContext,
): Promise<PhaseFindings> {
  const findings = readFindings(input.data);
  const key = hashOf([
    needed(findings.packageDigest, 'packageDigest'),
    ...(await context.deviceClass()),
    ...options,
    ...(recorded === null ? [] : ['recorded', recorded.digest]),
  ]);
  const cached = join(context.folders.cache, key);
  // A `fit` job asks for new measurements.
  let record = job.jobType === 'fit' ? null : await readFitted(cached);
  const isCached = record !== null;
  if (record === null) {
    const all = recorded === null ? options : [...options, '--recorded', recorded.folder];
    record = await fitAnew(manifest, all, cached, input.signal, context);
  }
  const missed = missedGate(record, limits, job.policy);
  if (missed !== null) throw new PhaseError('gate_missed', missed);
  const { chosen } = record;
  const result = {
    chosen: chosen.id,
    precision: chosen.precision,
    runtime: chosen.runtime,
    threads: chosen.threads,
    bytes: chosen.bytes,
    cached: isCached,
    calibration: calibratedWith(record, wanted),
    ...measured(record),
    table: decisionTable(record),
  };
  return { data: { fitted: key }, result };
}

async function fitAnew(
  manifest: string,
  options: readonly string[],
  cached: string,
  signal: AbortSignal,
  { folders, runAgent }: WorkContext,
): Promise<DecisionRecord> {
  const made = await mkdtemp(join(folders.scratch, 'fit-'));
  mustEndWell(
    'fitting',
    await runAgent(['fit', manifest, '-o', made, '--json', ...options], signal),
  );
  const record = await readFitted(made);
  if (record === null) throw new PhaseError('child_failed', 'fitting left no whole record');
  signal.throwIfAborted();
  await makeFolderDurably(folders.cache);
  await removeDurably(cached);
  await makeRoom(folders.cache);
  await move(made, cached);
  return record;
}

/** The record of a fitted model that is whole; null when there is none. */
export async function readFitted(folder: string): Promise<DecisionRecord | null> {
  try {
    const text = await readFile(join(folder, RECORD_FILE), 'utf8');
    const record = decisionSchema.parse(JSON.parse(text));
    const found = await hashOfFile(join(folder, record.chosen.file));
    return found?.sha256 === record.chosen.sha256 ? record : null;
  } catch (error) {
    // Damaged ones are made anew; a disk that cannot be read is another matter.
    if (codeOf(error) === 'EIO') throw error;
    return null;
  }
}

async function readManifest(manifest: string): Promise<z.infer<typeof manifestSchema>> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(manifest, 'utf8')));
  } catch (cause) {
    const message = `the manifest of the package cannot be used: ${messageOf(cause)}`;
    throw new PhaseError('bad_package', message.split('\n')[0] ?? message, { cause });
  }
}

function optionsOf(policy: Policy | undefined, limits: Limits): readonly string[] {
  const { precision = 'auto' } = policy ?? {};
  const numbers: readonly (readonly [string, number | undefined])[] = [
    ['--max-accuracy-drop', limits.maxAccuracyDrop],
    ['--min-sqnr', limits.minSqnrDb],
    ['--max-p90-ms', limits.maxP90Ms],
  ];
  return [
    ...(precision === 'auto' ? [] : ['--precision', precision]),
    ...numbers.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)])),
  ];
}

/** As it was calibrated, and why not with this device's own samples where they were wanted. */
function calibratedWith(record: DecisionRecord, wanted: CalibrationSource) {
  const calibration = calibrationOf(record);
  if (wanted !== 'recorded' || calibration.source === 'recorded') return calibration;
  const why = record.bench.samples.recorded?.why ?? 'nothing is recorded of this model';
  return { ...calibration, why };
}

function measured({ bench, chosen }: DecisionRecord) {
  const row = bench.candidates.find(({ id }) => id === chosen.id);
  return {
    p90Ms: row?.latencyMs?.p90 ?? null,
    peakRssBytes: row?.peakRssBytes ?? null,
    accuracy: row?.accuracy ?? null,
    sqnrDb: row?.fidelity?.sqnrDb ?? null,
  };
}

async function makeRoom(cache: string): Promise<void> {
  const names = await readdir(cache);
  const aged = await Promise.all(
    names.map(async (name) => ({ name, ms: (await stat(join(cache, name))).mtimeMs })),
  );
  const old = aged.toSorted((a, b) => b.ms - a.ms).slice(MAX_CACHED - 1);
  for (const { name } of old) {
    // oxlint-disable-next-line no-await-in-loop -- one at most
    await removeDurably(join(cache, name));
  }
}

function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
