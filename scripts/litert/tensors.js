// @ts-check
// Tensors in and out of LiteRT's memory.
import { dirname, join } from 'node:path';
import { LitertError } from './error.js';
import { listOf } from './wasm.js';

/** @typedef {import('../../agent/runtime/types.ts').Tensor} Tensor */
/** @typedef {import('../../agent/runtime/types.ts').TensorDescription} TensorDescription */
/** @typedef {import('./wasm.js').Litert} Litert */
/** @typedef {import('./wasm.js').TensorBuffer} TensorBuffer */

/** @typedef {{ readonly name: string, readonly dtype: import('../../agent/runtime/element-arrays.ts').NumericType, readonly shape: readonly number[],
 *   readonly quantization?: import('../../agent/runtime/types.ts').QuantizationParameters }} Described */

/** @type {typeof import('../../agent/runtime/element-arrays.ts')} */
const { ELEMENT_ARRAYS, isNumericType } = await import(
  join(dirname(dirname(import.meta.dirname)), 'dist/agent/runtime/element-arrays.js')
);

/**
 * As the file declares it; open dimensions have the size that it gives them.
 * @param {import('./ports.js').Port | undefined} port
 * @returns {Described}
 */
export function describeTensor(port) {
  if (port === undefined) throw new LitertError('there is no such tensor');
  const { name, tensor } = port;
  const dtype = tensor.type.toLowerCase();
  if (!isNumericType(dtype)) throw new LitertError(`'${name}' is of type ${dtype}`);
  const [scale = 0] = tensor.quantization?.scale ?? [];
  const [zeroPoint = 0] = tensor.quantization?.zeroPoint ?? [];
  return {
    name,
    dtype,
    shape: tensor.shape,
    ...(scale > 0 && { quantization: { scale, zeroPoint } }),
  };
}

/**
 * Memory for an input. LiteRT has -1 for open dimensions and cannot tell their size in bytes.
 * @param {Litert} litert
 * @param {import('./wasm.js').Handle} environment
 * @param {import('./wasm.js').TensorType} type
 * @param {Described} description
 */
export function makeBuffer(litert, environment, type, { shape }) {
  const dimensions = new litert.VectorInt32();
  for (const size of shape) dimensions.push_back(size);
  const layout = litert.LiteRtLayout.create(dimensions);
  const closed = litert.LiteRtRankedTensorType.create(type.elementType(), layout);
  const host = litert.LiteRtTensorBufferType.HOST_MEMORY;
  return litert.LiteRtTensorBuffer.createManaged(environment, host, closed, closed.bytes());
}

/** @param {Litert} litert @param {TensorBuffer} buffer @param {Described} input @param {Tensor | undefined} tensor */
export function writeTensor(litert, buffer, { name, dtype, shape }, tensor) {
  const wanted = `${dtype}[${shape.join(',')}]`;
  const given = tensor && `${tensor.dtype}[${tensor.shape.join(',')}]`;
  if (tensor === undefined || given !== wanted || !ArrayBuffer.isView(tensor.data)) {
    throw new LitertError(`input '${name}' takes ${wanted}, got ${given ?? 'nothing'}`);
  }
  const { data } = tensor;
  const pointer = buffer.lock(litert.LiteRtTensorBufferLockMode.WRITE);
  litert.HEAPU8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), pointer);
  buffer.unlock();
}

/** A copy. @param {Litert} litert @param {TensorBuffer | undefined} buffer @param {Described} output @returns {Tensor} */
export function readTensor(litert, buffer, { name, dtype }) {
  if (buffer === undefined) throw new LitertError(`there is no output '${name}'`);
  const type = buffer.tensorType();
  const layout = type.layout();
  const shape = listOf(layout.dimensions());
  layout.delete();
  type.delete();
  const pointer = buffer.lock(litert.LiteRtTensorBufferLockMode.READ) + buffer.offset();
  const bytes = litert.HEAPU8.slice(pointer, pointer + buffer.packedSize());
  buffer.unlock();
  return { dtype, shape, data: new ELEMENT_ARRAYS[dtype](bytes.buffer) };
}
