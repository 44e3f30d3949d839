import type { RuntimeName } from '../../contracts/facts.ts';
import { isPublished } from '../../hardware/profiles.ts';
import { FitError } from '../errors.ts';
import type { ModelSummary, NotTried, PlanFacts, PlanProfile } from '../types.ts';

type Format = ModelSummary['format'];

/** What the agent can run today. A runtime of a profile that is missing here is named as not tried. */
const RUNS: ReadonlyMap<RuntimeName, readonly Format[]> = new Map([
  ['onnxruntime', ['onnx']],
  ['tflite', ['tflite']],
  ['tensorrt', ['onnx']],
]);

/** What runs files of a format on the CPU. */
export function runtimeFor({ format }: { readonly format: Format }): 'onnxruntime' | 'tflite' {
  return format === 'tflite' ? 'tflite' : 'onnxruntime';
}

/** Runtimes that do not run on this machine, with the reason. */
type Unusable = ReadonlyMap<RuntimeName, string>;

/** Nobody has looked for it; engines are for what measures the result. */
const NOT_LOOKED_FOR: Unusable = new Map([['tensorrt', 'only bench and fit try it']]);

/** What the libraries that programs load here were built for. */
const archOf = ({ cpu }: PlanFacts): string => cpu.userland ?? cpu.arch;

/** The runtimes of which there is no build for this machine: onnxruntime on 32-bit ARM, for one. */
export function unpublishedOn(facts: PlanFacts): Unusable {
  const arch = archOf(facts);
  const missing = [...RUNS.keys()].filter((runtime) => !isPublished(runtime, arch));
  return new Map(missing.map((runtime) => [runtime, `there is no build of it for ${arch}`]));
}

/** The same, and what was looked for and not found. */
export function unusableHere(facts: PlanFacts, found: Unusable = NOT_LOOKED_FOR): Unusable {
  return new Map([...found, ...unpublishedOn(facts)]);
}

/** Ends the run before a model is loaded that nothing can run here. Throws `FitError` `no-runtime`. */
export function refuseUnpublished(format: Format, facts: PlanFacts): void {
  const unusable = unpublishedOn(facts);
  const runtimes = [...RUNS].filter(([, formats]) => formats.includes(format));
  if (!runtimes.every(([runtime]) => unusable.has(runtime))) return;
  const names = runtimes.map(([runtime]) => runtime).join(', ');
  const other = [...RUNS].find(([runtime]) => !unusable.has(runtime))?.[1][0];
  const instead = other === undefined ? '' : `give the model as a ${other} file, or `;
  throw new FitError(
    'no-runtime',
    `nothing runs ${format} files on ${archOf(facts)} (no build of ${names}): ${instead}install a 64-bit system`,
  );
}

/** Why `runtime` cannot run a file of this format here, or undefined. */
export function runtimeObstacle(
  runtime: RuntimeName,
  format: Format,
  unusable: Unusable = new Map(),
): string | undefined {
  const formats = RUNS.get(runtime);
  if (formats === undefined) return 'this version of the agent cannot run it';
  return formats.includes(format) ? unusable.get(runtime) : `it does not run ${format} files`;
}

/**
 * The runtimes to use: those asked for, else those of the profile, else any that runs the format.
 * Throws `FitError` when none remains.
 */
export function chooseRuntimes(
  format: Format,
  profile: PlanProfile,
  asked: readonly RuntimeName[] | undefined,
  unusable: Unusable = new Map(),
): { readonly chosen: readonly RuntimeName[]; readonly notTried: readonly NotTried[] } {
  const wanted = asked === undefined || asked.length === 0 ? profile.runtimes : asked;
  const able = [...RUNS.keys()].filter(
    (runtime) => runtimeObstacle(runtime, format, unusable) === undefined,
  );
  const usable = [...new Set(wanted)].filter((runtime) => able.includes(runtime));
  const chosen = usable.length === 0 && wanted === profile.runtimes ? able : usable;
  const why = (runtime: RuntimeName) => runtimeObstacle(runtime, format, unusable) ?? '';
  if (chosen.length === 0) throw noRuntime(format, able, wanted, why);
  const notTried = wanted
    .filter((runtime) => !chosen.includes(runtime))
    .map((runtime) => ({ precision: `runtime ${runtime}`, why: why(runtime) }));
  return { chosen, notTried };
}

function noRuntime(
  format: Format,
  able: readonly RuntimeName[],
  asked: readonly RuntimeName[],
  why: (runtime: RuntimeName) => string,
): FitError {
  const reasons = asked.map((runtime) => `${runtime}: ${why(runtime)}`).join('; ');
  const instead =
    able.length === 0 ? 'nothing else runs it here' : `use --runtime ${able.join(',')}`;
  const message = `cannot run this ${format} file as asked (${reasons}): ${instead}`;
  return new FitError('no-runtime', message);
}
