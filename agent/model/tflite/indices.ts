import { ModelError } from '../errors.ts';

/**
 * The indices, when each is at least `least` and below `count`.
 * @throws ModelError
 */
export function checkIndices(
  indices: readonly number[],
  least: number,
  count: number,
  path: string,
): readonly number[] {
  const wrong = indices.find((index) => index < least || index >= count);
  if (wrong !== undefined) throw outOfRange(wrong, count, path);
  return indices;
}

export function outOfRange(index: number, count: number, path: string): ModelError {
  return new ModelError('MALFORMED', `not a valid TFLite file: ${path} is ${index} of ${count}`);
}
