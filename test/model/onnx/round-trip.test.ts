import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { openOnnx, writeOnnx } from '../../../agent/model/onnx/open.ts';
import { corpusOnnx, describeWithCorpus } from '../../support/corpus.ts';

describeWithCorpus('the shared corpus', () => {
  test.each(corpusOnnx('models', 'models/others'))(
    'a round trip of %s changes no byte',
    (_, file) => {
      const bytes = readFileSync(file);
      const written = Buffer.concat(writeOnnx(openOnnx(bytes)));
      expect(Buffer.compare(written, bytes)).toBe(0);
    },
  );
});
