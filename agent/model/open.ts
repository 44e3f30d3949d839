import { formatOf } from './format.ts';
import { openOnnx, writeOnnx } from './onnx/open.ts';
import type { OnnxModel, ReadExternal } from './onnx/open.ts';
import { openTflite, writeTflite } from './tflite/open.ts';
import type { TfliteModel } from './tflite/types.ts';

/** Any model this program can edit; `format` tells them apart. */
export type Model = OnnxModel | TfliteModel;

/**
 * Opens a model file. The bytes must not change while the model is in use: its tensors are views.
 * @throws ModelError
 */
export function openModel(bytes: Uint8Array, readExternal?: ReadExternal): Model {
  return formatOf(bytes) === 'tflite' ? openTflite(bytes) : openOnnx(bytes, readExternal);
}

/** The pieces of a model's file, in order; constants are views on what the model was read from. */
export function writeModel(model: Model): readonly Uint8Array[] {
  return model.format === 'tflite' ? writeTflite(model) : writeOnnx(model);
}

/** How files of a format are called. */
export function extensionOf({ format }: Pick<Model, 'format'>): string {
  return `.${format}`;
}
