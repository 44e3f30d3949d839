import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { CandidateRow } from '../contracts/bench.ts';
import { precisions, runtimeNames } from '../contracts/facts.ts';
import type { DecisionRecord } from '../contracts/fit.ts';
import type { Release } from '../contracts/release.ts';
import type { Measured } from '../fleet/jobs/work/context.ts';
import type { Values } from '../telemetry/changes.ts';
import { driftKinds, driftOf, type DriftKind, type DriftLimits } from '../telemetry/drift.ts';
import { codeOf } from '../util/errors.ts';
import { fileError, writeFileDurably } from '../util/files.ts';
import { rowOf } from './last-bench.ts';

const modelSchema = z.object({
  version: z.string(),
  precision: z.enum(precisions),
  runtime: z.enum(runtimeNames),
  digest: z.string(),
  values: z.record(z.string(), z.number().nullable()),
  drifting: z.array(z.enum(driftKinds)),
});
const storedSchema = z.object({ v: z.literal(1), models: z.record(z.string(), modelSchema) });
type ModelState = z.infer<typeof modelSchema>;

/** A limit that a model has passed, or is within again, since it was last measured. */
export interface DriftChange {
  readonly model: string;
  readonly version: string;
  readonly kind: DriftKind;
  readonly beyond: boolean;
  readonly before: number | null;
  readonly now: number | null;
  readonly limit: number;
}

export interface InferState {
  readonly models: () => ReadonlyMap<string, ModelState>;
  /** A deployed model was measured; tells what has changed about its drift. */
  readonly measured: (measured: Measured) => Promise<readonly DriftChange[]>;
  /** Another release runs: what it was fitted with stands for it. Null: none is left. */
  readonly switched: (
    model: string,
    release: Release | null,
    fitted: DecisionRecord | null,
  ) => Promise<void>;
}

/**
 * The last figures of every deployed model, kept in `infer.json`: they outlive a restart, and a drift
 * is told once. A damaged file is begun anew. Throws FileError.
 */
export async function openInferState(options: {
  readonly state: string;
  readonly limits: DriftLimits;
  readonly warn: (message: string) => void;
}): Promise<InferState> {
  const { state, limits, warn } = options;
  const path = join(state, 'infer.json');
  const models = await readStored(path, warn);
  const save = () =>
    writeFileDurably(path, `${JSON.stringify({ v: 1, models: Object.fromEntries(models) })}\n`);
  return {
    models: () => models,
    measured: async ({ release, report, fitted }) => {
      const { model, version, digest } = release;
      const deployed = fitted === null ? null : rowOf(fitted.bench);
      const row = rowOf(report);
      const known = models.get(model);
      const last = known?.digest === digest ? known : null;
      const then = figuresOf(deployed, null);
      const now = figuresOf(row, last?.values['accuracy'] ?? then.accuracy);
      const { p90Ratio, beyond: found } = driftOf(now, then, limits);
      const wasDrifting = last?.drifting ?? [];
      // Without a figure it stands as it stood.
      const isBeyond = (kind: DriftKind) =>
        (kind === 'latency' ? p90Ratio : now.accuracy) === null
          ? wasDrifting.includes(kind)
          : found.includes(kind);
      const beyond = driftKinds.filter(isBeyond);
      const values = valuesOf(row, deployed, p90Ratio, now.accuracy);
      models.set(model, { ...stateOf(release), values, drifting: beyond });
      await save();
      return driftKinds
        .filter((kind) => beyond.includes(kind) !== wasDrifting.includes(kind))
        .map((kind) => ({
          model,
          version,
          kind,
          beyond: beyond.includes(kind),
          ...(kind === 'latency'
            ? { before: then.p90Ms, now: now.p90Ms, limit: limits.maxP90Ratio }
            : { before: then.accuracy, now: now.accuracy, limit: limits.maxAccuracyDrop }),
        }));
    },
    switched: async (model, release, fitted) => {
      if (release === null) models.delete(model);
      else {
        const row = fitted === null ? null : rowOf(fitted.bench);
        const isMeasured = (row?.latencyMs ?? null) !== null;
        const { accuracy } = figuresOf(row, null);
        const values = valuesOf(row, row, isMeasured ? 1 : null, accuracy);
        models.set(model, { ...stateOf(release), values, drifting: [] });
      }
      await save();
    },
  };
}

function stateOf({ version, precision, runtime, digest }: Release) {
  return { version, precision, runtime, digest };
}

/** A bench without samples leaves the accuracy at what it was. */
function figuresOf(row: CandidateRow | null, accuracyBefore: number | null) {
  const accuracy = row?.accuracy?.value ?? accuracyBefore;
  return { p90Ms: row?.latencyMs?.p90 ?? null, accuracy };
}

function valuesOf(
  row: CandidateRow | null,
  deployed: CandidateRow | null,
  driftRatio: number | null,
  accuracy: number | null,
): Values & Record<string, number | null> {
  const { p50 = null, p90 = null, p99 = null } = row?.latencyMs ?? {};
  return {
    p50Ms: p50,
    p90Ms: p90,
    p99Ms: p99,
    driftRatio,
    accuracy,
    // Against the float model, which is not here any more: as it was when that was.
    sqnrDb: deployed?.fidelity?.sqnrDb ?? null,
    energyMillijoules: row?.energyPerInferenceMillijoules ?? null,
  };
}

async function readStored(
  path: string,
  warn: (message: string) => void,
): Promise<Map<string, ModelState>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return new Map();
    throw fileError('read', path, error);
  }
  try {
    return new Map(Object.entries(storedSchema.parse(JSON.parse(text)).models));
  } catch {
    warn(`${path} is damaged: the figures of deployed models come with the next benchmark`);
    return new Map();
  }
}
