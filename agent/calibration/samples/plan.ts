import type { ConstantSpec, ImageSpec, InputSpec } from '../../contracts/manifest.ts';
import type {
  Feeds,
  SessionDescription,
  Tensor,
  TensorDescription,
  TensorType,
} from '../../runtime/types.ts';
import { convertTensor, findNotFinite, integersAs } from './convert.ts';
import { SampleError, shapeText } from './error.ts';
import { fitPixels, imageShape, normalize } from './image.ts';
import type { Pixels } from './pixels.ts';
import type { InputPlan } from './types.ts';

/**
 * Pairs every input of the model with its spec; an input without one takes ready arrays.
 * Throws SampleError when a spec names no input of the model or cannot fit its shape.
 */
export function planInputs(
  specs: Readonly<Record<string, InputSpec>>,
  description: SessionDescription,
): readonly InputPlan[] {
  const known = new Set(description.inputs.map((input) => input.name));
  const stray = Object.keys(specs).find((name) => !known.has(name));
  if (stray !== undefined) {
    const names = [...known].join(', ');
    throw new SampleError('flags', `inputs.${stray}: the model has no such input, only ${names}`);
  }
  return description.inputs.map((input) => planInput(input, specOf(specs, input.name)));
}

function specOf(specs: Readonly<Record<string, InputSpec>>, name: string): InputSpec {
  return (Object.hasOwn(specs, name) ? specs[name] : undefined) ?? { array: {} };
}

function planInput(description: TensorDescription, spec: InputSpec): InputPlan {
  const { name } = description;
  if ('image' in spec)
    checkShape(batchShape(spec.image, description), description, `inputs.${name}.image`);
  if (!('constant' in spec)) return { name, spec, description };
  const constant = constantTensor(spec.constant, `inputs.${name}.constant`);
  checkShape(constant.shape, description, `inputs.${name}.constant`);
  return { name, spec, description, constant };
}

/** Inputs that samples must bring a value for, in the model's order. */
export function neededInputs(plans: readonly InputPlan[]): readonly InputPlan[] {
  return plans.filter((plan) => plan.constant === undefined);
}

/** The feeds that are the same for every sample. */
export function constantFeeds(plans: readonly InputPlan[]): Feeds {
  return Object.fromEntries(
    plans.flatMap((plan) => (plan.constant === undefined ? [] : [[plan.name, plan.constant]])),
  );
}

function constantTensor({ dtype, shape, data }: ConstantSpec, title: string): Tensor {
  if (dtype === 'string') return { dtype, shape, data: data.map(String) };
  const numbers = data.map(Number);
  if (numbers.some(Number.isNaN)) throw new SampleError('dtype', `${title}: holds text`);
  if (dtype === 'float32') return { dtype, shape, data: Float32Array.from(numbers) };
  if (dtype === 'float64') return { dtype, shape, data: Float64Array.from(numbers) };
  if (!numbers.every(Number.isInteger)) {
    throw new SampleError('dtype', `${title}: holds fractions, ${dtype} takes whole numbers`);
  }
  // Text keeps all 64 bits, which a JSON number does not.
  const values = data.map((value) => BigInt(value));
  const wide: TensorType = dtype === 'uint64' ? 'uint64' : 'int64';
  return convertTensor({ dtype: wide, shape, data: integersAs(values, wide) }, dtype, title);
}

/** What pictures become: a batch of one, unless the model takes no other than some more. */
function batchShape(spec: ImageSpec, { shape: [batch] }: TensorDescription): readonly number[] {
  const one = imageShape(spec);
  return typeof batch === 'number' && batch > 1 ? one.with(0, batch) : one;
}

function repeated(values: Float32Array, times: number): Float32Array {
  if (times === 1) return values;
  const all = new Float32Array(times * values.length);
  for (let at = 0; at < times; at++) all.set(values, at * values.length);
  return all;
}

/** Throws unless `shape` can be fed to the input; dimensions the model leaves open match anything. */
export function checkShape(
  shape: readonly number[],
  description: TensorDescription,
  title: string,
): void {
  const expected = description.shape;
  const fits =
    shape.length === expected.length &&
    expected.every((dim, axis) => typeof dim !== 'number' || dim < 0 || dim === shape[axis]);
  if (fits) return;
  throw new SampleError(
    'shape',
    `${title}: expected ${shapeText(expected)} for input ${description.name}, got ${shapeText(shape)}`,
  );
}

/**
 * The feed for one input from one sample of an array, whose shape comes without the sample axis:
 * with the rank of the input it is fed as it is, with one axis less it gets a batch of one. uint8
 * under an `image` spec is a picture (height, width, channels) and is preprocessed.
 */
export function feedFromArray(plan: InputPlan, record: Tensor, title: string): Tensor {
  if ('image' in plan.spec && record.dtype === 'uint8' && record.data instanceof Uint8Array) {
    return feedFromPixels(plan, pixelsOf(record.shape, record.data, title), plan.spec.image);
  }
  const rank = plan.description.shape.length;
  const shape = record.shape.length + 1 === rank ? [1, ...record.shape] : record.shape;
  checkShape(shape, plan.description, title);
  return finish({ ...record, shape }, plan, title);
}

/** A uint8 array as a picture: height, width and, where there are any, channels. Throws SampleError. */
export function pixelsOf(given: readonly number[], data: Uint8Array, title: string): Pixels {
  const shape = given.length === 4 && given[0] === 1 ? given.slice(1) : given;
  const [height = 0, width = 0, channels = 1] = shape;
  if (shape.length < 2 || shape.length > 3 || channels < 1 || channels > 4) {
    const expected = 'expected uint8 pictures of shape [height, width, channels]';
    throw new SampleError('shape', `${title}: ${expected}, got ${shapeText(given)}`);
  }
  return { width, height, channels, data };
}

/** Integer inputs that take pixels as they are, when the spec leaves them as they are. */
const PIXEL_TYPES: ReadonlySet<TensorType> = new Set(['uint8', 'int32', 'int64']);

/** The feed for one input from a decoded picture: as often as the batch of the model is fixed at. */
export function feedFromPixels(plan: InputPlan, pixels: Pixels, spec: ImageSpec): Tensor {
  const values = normalize(fitPixels(pixels, spec), spec);
  const shape = batchShape(spec, plan.description);
  const data = repeated(values, shape[0] ?? 1);
  const { dtype } = plan.description;
  if (PIXEL_TYPES.has(dtype) && data.every((v) => Number.isInteger(v) && v >= 0 && v < 256)) {
    return convertTensor({ dtype: 'uint8', shape, data: Uint8Array.from(data) }, dtype, plan.name);
  }
  return convertTensor({ dtype: 'float32', shape, data }, dtype, plan.name);
}

/** Converts to the input's element type and refuses values that no model can be calibrated with. */
export function finish(tensor: Tensor, plan: InputPlan, title: string): Tensor {
  const at = findNotFinite(tensor);
  if (at >= 0) {
    throw new SampleError('not-finite', `${title}: value ${at} is not a finite number`);
  }
  return convertTensor(tensor, plan.description.dtype, title);
}
