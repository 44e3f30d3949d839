import type { ModelPackage } from '../calibration/package.ts';
import type { SessionDescription, TensorDescription } from '../runtime/types.ts';
import { FitError } from './errors.ts';

/**
 * Refuses a manifest that names inputs or an output which the model does not have: a misspelt name
 * would otherwise be ignored in silence. Throws `FitError`.
 */
export function checkManifest(
  { manifestPath, inputs, task }: Pick<ModelPackage, 'manifestPath' | 'inputs' | 'task'>,
  description: SessionDescription,
): void {
  if (manifestPath === null) return;
  for (const name of Object.keys(inputs)) {
    const why = unknownName(name, 'input', description.inputs);
    if (why !== undefined) throw refusal(manifestPath, `inputs.${name}`, why);
  }
  const output = task?.output;
  const why = output === undefined ? output : unknownName(output, 'output', description.outputs);
  if (why !== undefined) throw refusal(manifestPath, 'task.output', why);
}

function unknownName(name: string, what: string, known: readonly TensorDescription[]) {
  if (known.some((one) => one.name === name)) return undefined;
  const names = known.map((one) => one.name).join(', ') || 'none';
  return `the model has no ${what} '${name}'; it has: ${names}`;
}

function refusal(path: string, field: string, why: string): FitError {
  return new FitError('bad-manifest', `${path}: ${field}: ${why}`);
}
