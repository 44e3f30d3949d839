import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ModelError } from '../model/errors.ts';
import { openModel } from '../model/open.ts';
import type { Model } from '../model/open.ts';
import type { ExternalRange } from '../model/onnx/open.ts';
import { messageOf } from '../util/errors.ts';
import { checkPlainFile, fileError } from '../util/files.ts';

/** A model file that has been read. Its tensors are views on the bytes read. */
export interface LoadedModel {
  readonly model: Model;
  readonly path: string;
  readonly sha256: string;
  /** The file and all external data it refers to. */
  readonly bytes: number;
  /** Files in the same folder that hold external data, relative to it. */
  readonly companions: readonly string[];
}

/** Reads and opens a model. Throws FileError, or ModelError with the path in its message. */
export async function loadModel(path: string): Promise<LoadedModel> {
  const bytes = await readModelFile(path);
  const companions = new Map<string, number>();
  const folder = dirname(path);
  const readExternal = (range: ExternalRange) => {
    companions.set(range.location, statSize(join(folder, range.location)));
    return readRange(join(folder, range.location), range);
  };
  const model = openNamed(path, bytes, readExternal);
  return {
    model,
    path,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: [...companions.values()].reduce((sum, size) => sum + size, bytes.length),
    companions: [...companions.keys()],
  };
}

async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    await checkPlainFile(path);
    return await readFile(path);
  } catch (error) {
    throw fileError('read', path, error);
  }
}

function openNamed(
  path: string,
  bytes: Uint8Array,
  readExternal: (range: ExternalRange) => Uint8Array,
): Model {
  try {
    return openModel(bytes, readExternal);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(error.code, `${path}: ${error.message}`, error);
  }
}

function statSize(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    const why = messageOf(fileError('read', path, error));
    throw new ModelError('EXTERNAL_DATA', `the model keeps tensors in another file: ${why}`, error);
  }
}

function readRange(path: string, { offset, length }: ExternalRange): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const count = readSync(file, bytes, at, length - at, offset + at);
      if (count === 0) {
        const message = `${path} ends before byte ${offset + length}, where a tensor ends`;
        throw new ModelError('EXTERNAL_DATA', message);
      }
      at += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}
