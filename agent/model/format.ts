/** flatbuffers: the file identifier of a TFLite model stands behind the root offset. */
const TFLITE_IDENTIFIER = 'TFL3';

/** How many bytes of a file `formatOf` looks at. */
export const FORMAT_BYTES = 8;

export type ModelFormat = 'onnx' | 'tflite';

/** What a file is, by its content and never by its name. */
export function formatOf(bytes: Uint8Array): ModelFormat {
  return textAt(bytes, 4, FORMAT_BYTES - 4) === TFLITE_IDENTIFIER ? 'tflite' : 'onnx';
}

function textAt(bytes: Uint8Array, offset: number, length: number): string {
  return Buffer.from(bytes.subarray(offset, offset + length)).toString('latin1');
}

/** ModelProto.ir_version, field 1: every writer of ONNX puts it first. */
const ONNX_FIRST_BYTE = 0x08;

const ZIP = 'a ZIP archive, as PyTorch, Keras and NumPy write: export an ONNX or TFLite file';
const PICKLE = 'a Python pickle, as PyTorch wrote: export an ONNX file';
const WEB_PAGE = 'a web page: download the file itself';
const IMAGE = 'an image: give its folder as --samples';
const WEIGHTS = 'a safetensors file: weights without a graph; export an ONNX or TFLite file';

/** What people take for a model, by what stands at an offset of the file, and what to do about it. */
const LOOKALIKES: readonly (readonly [offset: number, text: string, what: string])[] = [
  [0, 'version https://git-lfs', 'a pointer of Git LFS, not the file itself: git lfs pull'],
  [0, '<!DOCTYPE', WEB_PAGE],
  [0, '<!doctype', WEB_PAGE],
  [0, '<html', WEB_PAGE],
  [0, '\x89HDF\r\n', 'an HDF5 file, as Keras writes: convert it to TFLite or ONNX first'],
  [0, 'PK\x03\x04', ZIP],
  [0, '\x80\x02', PICKLE],
  [0, '\x80\x04', PICKLE],
  [0, 'GGUF', 'a GGUF file, for llama.cpp only'],
  [0, 'ftrt', 'a TensorRT engine: give the ONNX model that it was built from'],
  [0, '<?xml', 'XML, as OpenVINO writes: give the ONNX or TFLite model that it was made from'],
  [0, '\x1f\x8b', 'compressed with gzip: unpack it first'],
  [0, '\x93NUMPY', 'a NumPy array: give it as --samples'],
  [0, '\xff\xd8\xff', IMAGE],
  [0, '\x89PNG', IMAGE],
  [8, '{"', WEIGHTS],
];

/**
 * What a file that could not be read as a model seems to be, in words that end a sentence beginning
 * with its name; null where it begins like a model.
 */
export function lookalikeOf(bytes: Uint8Array): string | null {
  if (bytes.length === 0) return null;
  const known = LOOKALIKES.find(([offset, text]) => textAt(bytes, offset, text.length) === text);
  if (known !== undefined) return `this is ${known[2]}`;
  return bytes[0] === ONNX_FIRST_BYTE ? null : 'this is neither an ONNX nor a TFLite model';
}
