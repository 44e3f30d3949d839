import { RuntimeFailure } from './errors.ts';
import type { Feeds, Tensor, TensorDescription } from './types.ts';

/**
 * Checks one sample against the inputs of a model: every input there and no other, the element type,
 * the fixed dimensions, the number of values. Throws `BAD_INPUT` naming the input. An input without
 * axes takes any shape here: onnxruntime describes an undeclared shape like that of a scalar, and
 * checks neither.
 */
export function checkFeeds(inputs: readonly TensorDescription[], feeds: Feeds): void {
  for (const input of inputs) {
    const tensor = feeds[input.name];
    if (!tensor) throw bad(input.name, `is missing, expected ${describe(input)}`);
    checkTensor(input, tensor);
  }
  const known = new Set(inputs.map(({ name }) => name));
  const extra = Object.keys(feeds).find((name) => !known.has(name));
  if (extra !== undefined) {
    throw bad(extra, `is not an input of the model, which has: ${[...known].join(', ')}`);
  }
}

function checkTensor(input: TensorDescription, tensor: Tensor): void {
  const { dtype, shape, data } = tensor;
  if (dtype !== input.dtype || !fits(input.shape, shape)) {
    throw bad(input.name, `expected ${describe(input)}, got ${describe(tensor)}`);
  }
  if (data.length !== sizeOf(shape)) {
    throw bad(
      input.name,
      `has ${data.length} values, but ${describe(tensor)} holds ${sizeOf(shape)}`,
    );
  }
}

function fits(declared: TensorDescription['shape'], shape: readonly number[]): boolean {
  if (declared.length === 0) return true;
  return (
    shape.length === declared.length &&
    declared.every((size, axis) => typeof size !== 'number' || size === shape[axis])
  );
}

function bad(name: string, why: string): RuntimeFailure {
  return new RuntimeFailure('BAD_INPUT', `input '${name}': ${why}`);
}

/** `float32[1,3,?,width]` */
function describe(tensor: Pick<TensorDescription, 'dtype' | 'shape'>): string {
  return `${tensor.dtype}[${tensor.shape.map((size) => size ?? '?').join(',')}]`;
}

/** How many elements a shape holds. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
