/** flatbuffers: the file identifier of a TFLite model stands behind the root offset. */
const TFLITE_IDENTIFIER = 'TFL3';

/** How many bytes of a file `formatOf` looks at. */
export const FORMAT_BYTES = 8;

export type ModelFormat = 'onnx' | 'tflite';

/** What a file is, by its content and never by its name. */
export function formatOf(bytes: Uint8Array): ModelFormat {
  const identifier = Buffer.from(bytes.subarray(4, FORMAT_BYTES)).toString('latin1');
  return identifier === TFLITE_IDENTIFIER ? 'tflite' : 'onnx';
}
