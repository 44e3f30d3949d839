import { codeOf } from '../util/errors.ts';
import { ModelError, type ModelErrorCode } from './errors.ts';
import { formatOf, lookalikeOf } from './format.ts';
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
  if (formatOf(bytes) === 'tflite') return openTflite(bytes);
  try {
    return openOnnx(bytes, readExternal);
  } catch (error) {
    const code = String(codeOf(error));
    const seems = UNREADABLE.includes(code) ? lookalikeOf(bytes) : null;
    throw seems === null ? error : new ModelError('NOT_A_MODEL', seems, error);
  }
}

/** What reading a file ends in that was never a model. */
const UNREADABLE: readonly string[] = [
  'NOT_A_MODEL',
  'TRUNCATED',
  'MALFORMED',
] satisfies ModelErrorCode[];

/** The pieces of a model's file, in order; constants are views on what the model was read from. */
export function writeModel(model: Model): readonly Uint8Array[] {
  return model.format === 'tflite' ? writeTflite(model) : writeOnnx(model);
}

/** How files of a format are called. */
export function extensionOf({ format }: Pick<Model, 'format'>): string {
  return `.${format}`;
}
