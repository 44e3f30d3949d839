import { ModelError } from '../errors.ts';
import { fromFile } from './from-file.ts';
import { readModel } from './generated/model.ts';
import { checkOrder } from './order.ts';
import { readRoot } from './reader.ts';
import { writePieces } from './to-file.ts';
import type { TfliteModel } from './types.ts';

export type { TfliteModel } from './types.ts';

/** The file identifier stands behind the root offset; 3 is the version of the format. */
export const TFLITE_IDENTIFIER = 'TFL3';
const VERSION = 3;

/**
 * Reads a .tflite file. The bytes must not change while the model is in use: its tensors are views.
 * Every index in the result leads somewhere, each tensor has at most one maker, and operators stand
 * behind those that they read from.
 * @throws ModelError with the place and the offset of what is wrong
 */
export function openTflite(bytes: Uint8Array): TfliteModel {
  const identifier = Buffer.from(bytes.subarray(4, 8)).toString('latin1');
  if (identifier !== TFLITE_IDENTIFIER) {
    throw new ModelError(
      'NOT_A_MODEL',
      `no ${TFLITE_IDENTIFIER} at byte 4: this is no TFLite file`,
    );
  }
  const root = readRoot(bytes, 'Model', readModel);
  if (root.value.version !== VERSION) {
    const found = root.value.version;
    throw new ModelError('UNSUPPORTED', `TFLite format ${found}; only ${VERSION} can be read`);
  }
  const model = fromFile(root, bytes);
  model.subgraphs.forEach(checkOrder);
  return model;
}

/**
 * The file's bytes in pieces; large constants are passed on without a copy.
 * @throws ModelError when the model cannot be written without losing something
 */
export function writeTflite(model: TfliteModel): readonly Uint8Array[] {
  if (model.unknown.length > 0) {
    throw new ModelError(
      'UNSUPPORTED',
      `this TFLite file is newer than this program, which would lose ${model.unknown.join(', ')}`,
    );
  }
  return writePieces(model, TFLITE_IDENTIFIER);
}
