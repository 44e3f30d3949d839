import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { describe } from '@jest/globals';

/** The test models that lie beside the repository; not every checkout has them. */
const root = resolve(import.meta.dirname, '../../../shared/corpus');

/** `describe` where the corpus is at hand; otherwise the tests inside are shown as skipped. */
export const describeWithCorpus = existsSync(root) ? describe : describe.skip;

export const corpusPath = (...parts: readonly string[]) => join(root, ...parts);

/** [name, path] of the corpus' ONNX models; one placeholder without a corpus. */
export function corpusOnnx(...folders: readonly string[]): (readonly [string, string])[] {
  return corpusFiles('.onnx', folders);
}

/** The same of its TFLite models. */
export function corpusTflite(...folders: readonly string[]): (readonly [string, string])[] {
  return corpusFiles('.tflite', folders);
}

function corpusFiles(extension: string, folders: readonly string[]): (readonly [string, string])[] {
  if (!existsSync(root)) return [['(no corpus)', '']];
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(extension))
      .map((name) => [basename(name, extension), join(root, folder, name)] as const),
  );
}
