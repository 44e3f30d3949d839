import type { RuntimeName } from '../contracts/facts.ts';
import { FitError } from './errors.ts';
import type { ModelSummary, NotTried, PlanProfile } from './types.ts';

type Format = ModelSummary['format'];

/** What the agent can run today. A runtime of a profile that is missing here is named as not tried. */
const RUNS: ReadonlyMap<RuntimeName, readonly Format[]> = new Map([
  ['onnxruntime', ['onnx']],
  ['tflite', ['tflite']],
]);

/** What runs files of a format on the CPU. */
export function runtimeFor({ format }: { readonly format: Format }): 'onnxruntime' | 'tflite' {
  return format === 'tflite' ? 'tflite' : 'onnxruntime';
}

/** Why `runtime` cannot run a file of this format, or undefined. */
export function runtimeObstacle(runtime: RuntimeName, format: Format): string | undefined {
  const formats = RUNS.get(runtime);
  if (formats === undefined) return 'this version of the agent cannot run it';
  return formats.includes(format) ? undefined : `it does not run ${format} files`;
}

/**
 * The runtimes to use: those asked for, else those of the profile, else any that runs the format.
 * Throws `FitError` when none remains.
 */
export function chooseRuntimes(
  format: Format,
  profile: PlanProfile,
  asked: readonly RuntimeName[] | undefined,
): { readonly chosen: readonly RuntimeName[]; readonly notTried: readonly NotTried[] } {
  const wanted = asked === undefined || asked.length === 0 ? profile.runtimes : asked;
  const able = [...RUNS.keys()].filter((runtime) => runtimeObstacle(runtime, format) === undefined);
  const usable = [...new Set(wanted)].filter((runtime) => able.includes(runtime));
  const chosen = usable.length === 0 && wanted === profile.runtimes ? able : usable;
  if (chosen.length === 0) throw noRuntime(format, able, asked);
  const notTried = wanted
    .filter((runtime) => !chosen.includes(runtime))
    .map((runtime) => ({
      precision: `runtime ${runtime}`,
      why: runtimeObstacle(runtime, format) ?? '',
    }));
  return { chosen, notTried };
}

function noRuntime(
  format: Format,
  able: readonly RuntimeName[],
  asked: readonly RuntimeName[] | undefined,
): FitError {
  const names = (asked ?? []).join(', ');
  return new FitError(
    'no-runtime',
    `${names} cannot run this ${format} file: use --runtime ${able.join(',')}`,
  );
}
