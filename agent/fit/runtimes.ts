import type { RuntimeName } from '../contracts/facts.ts';
import { FitError } from './errors.ts';
import type { ModelSummary, NotTried, PlanProfile } from './types.ts';

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

type Unusable = ReadonlyMap<RuntimeName, string>;

/** Nobody has looked for it; engines are for what measures the result. */
const NOT_LOOKED_FOR: Unusable = new Map([['tensorrt', 'only bench and fit try it']]);

/** Why `runtime` cannot run a file of this format here, or undefined. */
function obstacle(runtime: RuntimeName, format: Format, unusable: Unusable): string | undefined {
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
  unusable: Unusable = NOT_LOOKED_FOR,
): { readonly chosen: readonly RuntimeName[]; readonly notTried: readonly NotTried[] } {
  const wanted = asked === undefined || asked.length === 0 ? profile.runtimes : asked;
  const able = [...RUNS.keys()].filter(
    (runtime) => obstacle(runtime, format, unusable) === undefined,
  );
  const usable = [...new Set(wanted)].filter((runtime) => able.includes(runtime));
  const chosen = usable.length === 0 && wanted === profile.runtimes ? able : usable;
  const why = (runtime: RuntimeName) => obstacle(runtime, format, unusable) ?? '';
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
  const message = `cannot run this ${format} file as asked (${reasons}): use --runtime ${able.join(',')}`;
  return new FitError('no-runtime', message);
}
