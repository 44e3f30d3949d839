import { ModelError } from './errors.ts';
import { openOnnx } from './onnx/open.ts';
import type { OnnxModel, ReadExternal } from './onnx/open.ts';

/** Any model this program can edit. */
export type Model = OnnxModel;

/** flatbuffers: the file identifier of a TFLite model stands behind the root offset. */
const TFLITE_IDENTIFIER = 'TFL3';

/** What a file is, by its content and never by its name. */
export function formatOf(bytes: Uint8Array): 'onnx' | 'tflite' {
  const identifier = Buffer.from(bytes.subarray(4, 8)).toString('latin1');
  return identifier === TFLITE_IDENTIFIER ? 'tflite' : 'onnx';
}

/**
 * Opens a model file. The bytes must not change while the model is in use: its tensors are views.
 * @throws ModelError
 */
export function openModel(bytes: Uint8Array, readExternal?: ReadExternal): Model {
  if (formatOf(bytes) === 'tflite') {
    throw new ModelError('UNSUPPORTED', 'TFLite models cannot be edited yet: convert it to ONNX');
  }
  return openOnnx(bytes, readExternal);
}
