import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Feeds, OpenOptions, Runtime } from '../runtime/types.ts';
import { BenchError } from './errors.ts';
import { familyOf, hasMacs, macsOf } from './macs.ts';
import { type Kernel, readProfile } from './profile.ts';

export interface OpUse {
  /** Name of the kernel, without its fusions. */
  readonly op: string;
  readonly count: number;
  readonly macs: number;
  /** Whether its multiply-accumulates are all on integers; false where there are none. */
  readonly integer: boolean;
  /** Time in this op during one run. */
  readonly ms: number;
}

export interface Coverage {
  readonly integerMacs: number;
  readonly totalMacs: number;
  /** Share of multiply-accumulates made in integer kernels; null where none are made. */
  readonly coverage: number | null;
  /** Every op that ran, the slowest first. */
  readonly byOp: readonly OpUse[];
}

export interface CoverageOptions {
  readonly threads: number;
  /** False where `ms` does not matter: one run less, and less memory. */
  readonly timed?: boolean;
}

/**
 * Integer coverage of the graph that really runs, by onnxruntime's profile. It is taken twice:
 *
 * - as in production: which kernels ran, and how long. But repacked weights are missing from it, and
 *   convolutions in blocked layout (NCHWc) show channels padded to the width of this CPU's vectors;
 * - without repacking and without the change of layout: all shapes, unpadded. Both leave the choice
 *   between integer and floating point as it is, which is checked; if it ever differs, the shapes come
 *   from the graph with the layout of production.
 */
export async function measureCoverage(
  runtime: Runtime,
  modelPath: string,
  feeds: Feeds,
  { threads, timed = true }: CoverageOptions,
): Promise<Coverage> {
  // The arena makes runs faster and memory larger; it does not choose kernels.
  const production: OpenOptions = { threads, optimization: 'all', arena: timed };
  // The first run is slower than the rest, and the last one counts.
  const ran = await profile(runtime, modelPath, timed ? [feeds, feeds] : [feeds], production);
  const looking = { ...production, prepack: false };
  const plain = await profile(runtime, modelPath, [feeds], {
    ...looking,
    optimization: 'extended',
  });
  const shapes = sameKernels(ran, plain)
    ? plain
    : await profile(runtime, modelPath, [feeds], looking);
  return coverageOf(ran, shapes);
}

/** Opens a model, makes these runs, and reads what the runtime recorded of the last one. */
async function profile(
  runtime: Runtime,
  modelPath: string,
  runs: readonly Feeds[],
  options: OpenOptions,
): Promise<Kernel[]> {
  return readProfile(await profileText(runtime, modelPath, runs, options));
}

/** Opens a model, makes these runs, and returns the profile that the runtime wrote: JSON. */
export async function profileText(
  runtime: Runtime,
  modelPath: string,
  runs: readonly Feeds[],
  options: OpenOptions,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-profile-'));
  try {
    const profilePrefix = join(folder, 'profile');
    const session = await runtime.open(modelPath, { ...options, profilePrefix });
    try {
      // oxlint-disable-next-line no-await-in-loop -- one run after the other
      for (const feeds of runs) await session.run(feeds);
    } finally {
      await session.close();
    }
    const [file] = await readdir(folder);
    if (file === undefined) throw new BenchError('BAD_PROFILE', `${runtime.name} wrote no profile`);
    return await readFile(join(folder, file), 'utf8');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether both ran the same ops that multiply, equally often. */
function sameKernels(a: readonly Kernel[], b: readonly Kernel[]): boolean {
  return multiplying(a) === multiplying(b);
}

function multiplying(kernels: readonly Kernel[]): string {
  const families = kernels.filter(({ op }) => hasMacs(op)).map(({ op }) => familyOf(op));
  return families.toSorted().join();
}

/** Adds up kernels: counts and times of those that `ran`, multiply-accumulates from the `shapes`. */
export function coverageOf(ran: readonly Kernel[], shapes: readonly Kernel[]): Coverage {
  const byOp = new Map<string, { count: number; ms: number; integer: number; total: number }>();
  const entry = (op: string) => {
    const family = familyOf(op);
    const found = byOp.get(family) ?? { count: 0, ms: 0, integer: 0, total: 0 };
    byOp.set(family, found);
    return found;
  };
  for (const { op, ms } of ran) {
    const use = entry(op);
    use.count++;
    use.ms += ms;
  }
  for (const kernel of shapes.filter(({ op }) => hasMacs(op))) {
    const { integer, float } = macsOf(kernel);
    const use = entry(kernel.op);
    use.integer += integer;
    use.total += integer + float;
  }
  const uses = [...byOp.values()];
  const integerMacs = uses.reduce((sum, { integer }) => sum + integer, 0);
  const totalMacs = uses.reduce((sum, { total }) => sum + total, 0);
  return {
    integerMacs,
    totalMacs,
    coverage: totalMacs === 0 ? null : integerMacs / totalMacs,
    byOp: [...byOp]
      .map(([op, { count, ms, integer, total }]) => {
        return { op, count, macs: total, integer: total > 0 && integer === total, ms };
      })
      .toSorted((a, b) => b.ms - a.ms),
  };
}
