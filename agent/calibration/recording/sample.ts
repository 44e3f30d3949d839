import { crc32 } from 'node:zlib';
import type { ModelInput } from '../../contracts/recorded.ts';
import type { SessionDescription, TensorType } from '../../runtime/types.ts';
import { SampleError } from '../samples/error.ts';
import { bytesPerElement, npyHeader, viewAs } from '../samples/npy.ts';
import { feedFromArray, pixelsOf, planInputs } from '../samples/plan.ts';
import type { InputPlan } from '../samples/types.ts';
import { directory, LOCAL_BYTES, localHeader, type Entry } from '../samples/zip-headers.ts';
import { RecordError, type RecordErrorCode } from './error.ts';

/** The value of one input as it came: plain little-endian numbers. */
export interface RecordedArray {
  readonly name: string;
  readonly dtype: Exclude<TensorType, 'string'>;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

type ArrayHeader = Omit<RecordedArray, 'bytes'>;

/** How the inputs are fed, as whoever calibrates will plan it. Throws SampleError. */
export function plansFor(inputs: readonly ModelInput[]): readonly InputPlan[] {
  const specs = inputs.flatMap(({ name, image }) =>
    image === undefined ? [] : [[name, { image }] as const],
  );
  const description: SessionDescription = { inputs, outputs: [] };
  return planInputs(Object.fromEntries(specs), description);
}

/** Bytes of an array. */
export function sizeOf({ dtype, shape }: Pick<ArrayHeader, 'dtype' | 'shape'>): number {
  return shape.reduce((product, dim) => product * dim, bytesPerElement(dtype) ?? 0);
}

/** Refuses a sample that calibration could not read, or that no model can be calibrated with. */
export function checkSample(arrays: readonly RecordedArray[], plans: readonly InputPlan[]): void {
  checkNames(arrays, plans);
  for (const plan of plans) {
    const array = arrays.find(({ name }) => name === plan.name);
    if (array !== undefined) checkArray(array, plan);
  }
}

function checkNames(arrays: readonly ArrayHeader[], plans: readonly InputPlan[]): void {
  const wanted = plans.map(({ name }) => name).toSorted();
  const given = arrays.map(({ name }) => name).toSorted();
  if (JSON.stringify(given) === JSON.stringify(wanted)) return;
  const message = `the sample has ${given.join(', ')}; the model takes ${wanted.join(', ')}`;
  throw new RecordError('BAD_INPUTS', message);
}

const CODES: Readonly<Partial<Record<string, RecordErrorCode>>> = {
  shape: 'BAD_SHAPE',
  dtype: 'BAD_DTYPE',
  'not-finite': 'NOT_FINITE',
};

function checkArray({ name, dtype, shape, bytes }: RecordedArray, plan: InputPlan): void {
  try {
    const data = viewAs(dtype, bytes, bytes.length / (bytesPerElement(dtype) ?? 1));
    if ('image' in plan.spec && data instanceof Uint8Array && dtype === 'uint8') {
      // Whoever calibrates brings the picture to its size; every picture can be.
      pixelsOf(shape, data, name);
      return;
    }
    feedFromArray(plan, { dtype, shape, data }, name);
  } catch (error) {
    if (!(error instanceof SampleError)) throw error;
    throw new RecordError(CODES[error.code] ?? 'BAD_INPUTS', error.message, { cause: error });
  }
}

/** Names that a .zip reader takes for a way out of its folder. */
const UNSAFE_NAME = /^[/\\]|\\|^[A-Za-z]:|(^|\/)\.\.(\/|$)/;

/** A .npz file of one sample, in the order of `plans`; readers find inputs by name or by place. */
export function npzOf(arrays: readonly RecordedArray[], plans: readonly InputPlan[]): Buffer {
  const unsafe = plans.some(({ name }) => UNSAFE_NAME.test(name));
  const pieces: Uint8Array[] = [];
  const entries: Entry[] = [];
  let offset = 0;
  for (const [at, plan] of plans.entries()) {
    const array = arrays.find(({ name }) => name === plan.name);
    if (array === undefined) continue;
    const head = npyHeader(array.dtype, [1, ...array.shape]);
    const entry = {
      name: Buffer.from(`${unsafe ? `arr_${at}` : plan.name}.npy`),
      offset,
      bytes: head.length + array.bytes.length,
      crc: crc32(array.bytes, crc32(head)),
    };
    entries.push(entry);
    pieces.push(localHeader(entry), head, array.bytes);
    offset += LOCAL_BYTES + entry.name.length + entry.bytes;
  }
  return Buffer.concat([...pieces, directory(entries, offset)]);
}
