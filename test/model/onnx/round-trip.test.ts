import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { openOnnx, writeOnnx } from '../../../agent/model/onnx/open.ts';

const corpus = resolve(import.meta.dirname, '../../../../shared/corpus/models');
const files = existsSync(corpus)
  ? [corpus, join(corpus, 'others')].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.onnx'))
        .map((name) => join(folder, name)),
    )
  : [];

(files.length > 0 ? test.each(files) : test.skip.each(['shared corpus']))(
  'a round trip of %s changes no byte',
  (file) => {
    const bytes = readFileSync(file);
    const written = Buffer.concat(writeOnnx(openOnnx(bytes)));
    expect(Buffer.compare(written, bytes)).toBe(0);
  },
);
