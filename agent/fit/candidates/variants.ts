import { basename, dirname, relative } from 'node:path';
import type { Facts, RuntimeName } from '../../contracts/facts.ts';
import type { VariantSpec } from '../../contracts/manifest.ts';
import type { RowVariant } from '../../contracts/bench.ts';
import { noScheme } from '../../contracts/scheme.ts';
import { EDGE_TPU_DELEGATE, edgeTpuWords, noEdgeTpu, usableEdgeTpu } from './edgetpu.ts';
import { runtimeObstacle } from './runtimes.ts';
import type { VariantFile } from './variant-file.ts';
import type { Candidate, NotTried, Plan, PlanRequest } from '../types.ts';

/** Rows that run on an accelerator: how many threads matters only to what is left for the CPU. */
const ONE_THREAD = [1];

/** A variant with what its file told, or why it cannot be used. */
export interface ReadVariant {
  readonly spec: VariantSpec;
  readonly file: VariantFile | { readonly problem: string };
}

export interface VariantContext {
  readonly facts: Pick<Facts, 'accelerators' | 'profile'>;
  readonly request: Pick<PlanRequest, 'precisions' | 'runtimes' | 'asIs'>;
  /** Counts to measure what runs on the CPU with. */
  readonly threads: readonly number[];
  /** Null for a plain model file, which has no variants. */
  readonly manifestPath: string | null;
}

/**
 * Candidates of files that came with the package, those for an accelerator first, and what of them
 * is not tried here. Pure.
 */
export function planVariants(variants: readonly ReadVariant[], context: VariantContext): Plan {
  const candidates: Candidate[] = [];
  const notTried: NotTried[] = [];
  const order = [
    ...variants.filter(isForAccelerator),
    ...variants.filter((one) => !isForAccelerator(one)),
  ];
  const labels = new Set<string>();
  for (const one of order) {
    const { file } = one;
    const name = nameOf(one, context);
    const why = 'problem' in file ? file.problem : obstacle(one.spec, file, context);
    if ('problem' in file || why !== undefined) {
      notTried.push({ precision: `${one.spec.precision} ${name}`, why: why ?? '' });
      continue;
    }
    const label = unique(labelOf(one.spec, file), labels);
    candidates.push(...candidatesOf(one.spec, file, { ...context, name, label }));
  }
  return { candidates, notTried };
}

function isForAccelerator({ spec, file }: ReadVariant): boolean {
  return (
    (spec.accelerators?.length ?? 0) > 0 || ('compiledFor' in file && file.compiledFor !== null)
  );
}

function nameOf({ spec }: ReadVariant, { manifestPath }: VariantContext): string {
  return manifestPath === null ? basename(spec.path) : relative(dirname(manifestPath), spec.path);
}

/** Why a variant is not measured here, or undefined. */
function obstacle(
  { precision, runtime, accelerators = [] }: VariantSpec,
  file: VariantFile,
  { facts, request }: VariantContext,
): string | undefined {
  const { precisions, runtimes } = request;
  if (request.asIs) return 'only the file itself was asked for';
  const asked = [precision, file.method === 'none' ? precision : `${precision}-${file.method}`];
  if (precisions !== undefined && !precisions.some((one) => asked.includes(one))) {
    return 'its precision was not asked for';
  }
  if (runtimes !== undefined && runtimes.length > 0 && !runtimes.includes(runtime)) {
    return `its runtime ${runtime} was not asked for`;
  }
  if (!facts.profile.runtimes.includes(runtime)) return `${runtime} does not run on this device`;
  const cannot = runtimeObstacle(runtime, file.format);
  if (cannot !== undefined) return `${runtime}: ${cannot}`;
  return acceleratorObstacle(accelerators, file, facts);
}

function acceleratorObstacle(
  accelerators: NonNullable<VariantSpec['accelerators']>,
  { compiledFor }: VariantFile,
  facts: Pick<Facts, 'accelerators'>,
): string | undefined {
  if (compiledFor === 'Edge TPU') {
    return usableEdgeTpu(facts)
      ? undefined
      : `it is compiled for the Edge TPU: ${noEdgeTpu(facts)}`;
  }
  const device = compiledFor ?? accelerators.join(' or ');
  if (device === '') return undefined;
  return `it needs ${device}, which this version of the agent cannot run models on`;
}

function labelOf({ precision }: VariantSpec, { compiledFor }: VariantFile): string {
  return `${precision}-${compiledFor === 'Edge TPU' ? 'edgetpu' : 'prebuilt'}`;
}

function unique(label: string, taken: Set<string>): string {
  let made = label;
  for (let at = 2; taken.has(made); at += 1) made = `${label}-${at}`;
  taken.add(made);
  return made;
}

function candidatesOf(
  spec: VariantSpec,
  file: VariantFile,
  {
    name,
    label,
    threads,
    facts,
  }: VariantContext & { readonly name: string; readonly label: string },
): readonly Candidate[] {
  const { precision, runtime } = spec;
  const tpu = file.compiledFor === 'Edge TPU' ? usableEdgeTpu(facts) : undefined;
  const ops = opsOf(spec, file);
  const variant: RowVariant = {
    path: name,
    ...(tpu && {
      accelerator: { kind: tpu.kind, device: tpu.device ?? null },
      delegate: EDGE_TPU_DELEGATE.path,
      ops,
    }),
  };
  const why =
    tpu === undefined
      ? `came with the package (${name}): ${file.words}`
      : `came with the package (${name}): ${opsWords(ops, file)}; on ${edgeTpuWords(tpu)}`;
  const counts = tpu !== undefined && ops.cpu === 0 ? ONE_THREAD : threads;
  return counts.map((count) => ({
    id: idOf(runtime, label, count),
    precision,
    method: file.method,
    runtime,
    threads: count,
    scheme: noScheme,
    ...(tpu && { delegate: EDGE_TPU_DELEGATE }),
    prebuilt: { file: file.files, variant },
    why,
  }));
}

function idOf(runtime: RuntimeName, label: string, threads: number): string {
  return `${runtime}/${label}/t${threads}`;
}

interface Ops {
  readonly accelerator: number | null;
  readonly cpu: number;
}

/** What is left for the CPU stands in the file; what was taken, only the compiler could tell. */
function opsOf({ ops }: VariantSpec, { onCpu }: VariantFile): Ops {
  const cpu = [...onCpu.values()].reduce((sum, count) => sum + count, 0);
  return { accelerator: ops?.accelerator ?? null, cpu };
}

/** `31 operators on the Edge TPU, 2 left for the CPU (1 QUANTIZE, 1 SOFTMAX)` */
function opsWords({ accelerator, cpu }: Ops, { onCpu, words }: VariantFile): string {
  if (accelerator === null) return words;
  const total = accelerator + cpu;
  if (cpu === 0) return `all ${total} operators on the Edge TPU`;
  const left = [...onCpu].map(([op, count]) => `${count} ${op}`).join(', ');
  return `${accelerator} of ${total} operators on the Edge TPU, ${cpu} left for the CPU (${left})`;
}
