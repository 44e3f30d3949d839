import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from '@jest/globals';
import { readModel } from '../../../agent/model/tflite/generated/model.ts';
import { allOperators } from '../../../agent/model/tflite/calls.ts';
import { openTflite, writeTflite } from '../../../agent/model/tflite/open.ts';
import { readRoot } from '../../../agent/model/tflite/reader.ts';
import { isConstant, tensorData } from '../../../agent/model/tflite/tensor.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { corpusTflite, describeWithCorpus } from '../../support/corpus.ts';

const FOLDERS = ['models', 'models/others', 'models/aeq'];

/** A model without what depends on the length of the file, and buffers that may be stored once. */
const content = (model: TfliteModel) => ({
  ...model,
  tail: model.tail !== null,
  unusedBuffers: [],
});

/** The contents of all buffers of a file, in no order; short ones that are the same are stored once. */
function bufferContents(file: Uint8Array): string[] {
  const buffers = readRoot(file, 'Model', readModel).value.buffers ?? [];
  const contents = buffers.flatMap(({ data }) =>
    data?.length ? [Buffer.from(data).toString('base64')] : [],
  );
  return [...new Set(contents)].toSorted();
}

describeWithCorpus('the shared corpus', () => {
  test.each(corpusTflite(...FOLDERS))('%s: a round trip loses nothing', (_, path) => {
    const file = readFileSync(path);
    const model = openTflite(file);
    const written = Buffer.concat(writeTflite(model));
    const again = openTflite(written);
    expect(model.subgraphs[0]?.operators.length).toBeGreaterThan(0);
    expect(isDeepStrictEqual(content(again), content(model))).toBe(true);
    expect(bufferContents(written)).toEqual(bufferContents(file));
    // Writing what was written changes no byte.
    expect(Buffer.compare(Buffer.concat(writeTflite(again)), written)).toBe(0);
  });

  test.each(corpusTflite(...FOLDERS))('%s: constants are views, read and written', (_, path) => {
    const file = readFileSync(path);
    const model = openTflite(file);
    const constants = model.subgraphs.flatMap(({ tensors }) => tensors).filter(isConstant);
    for (const { data } of constants) expect(data?.buffer).toBe(file.buffer);
    const large = new Set(
      constants.flatMap(({ data }) => (data !== null && data.length > 4096 ? [data] : [])),
    );
    const pieces = new Set(writeTflite(model));
    expect([...large].filter((data) => !pieces.has(data))).toEqual([]);
  });

  test.each(corpusTflite(...FOLDERS))('%s: constants hold what their shapes say', (_, path) => {
    const { subgraphs } = openTflite(readFileSync(path));
    const constants = subgraphs
      .flatMap(({ tensors }) => tensors)
      .filter((one) => isConstant(one) && one.type !== 'STRING' && one.data?.length !== 0);
    for (const tensor of constants) expect(tensorData(tensor).length).toBeGreaterThan(0);
  });

  test('nothing in it is unknown, and custom operators are there', () => {
    const models = corpusTflite(...FOLDERS).map(([, path]) => openTflite(readFileSync(path)));
    expect(models.flatMap(({ unknown }) => unknown)).toEqual([]);
    const custom = models
      .flatMap((model) => [...allOperators(model)])
      .filter(({ operator }) => operator.op === 'CUSTOM')
      .map(({ operator }) => operator.customCode);
    expect(custom).toContain('edgetpu-custom-op');
    expect(custom).not.toContain(undefined);
  });

  test('tensors that share a buffer still do', () => {
    const [, path] =
      corpusTflite('models/aeq').find(([name]) => name === 'weight_sharing_fcs') ?? [];
    const model = openTflite(readFileSync(path ?? ''));
    const written = openTflite(Buffer.concat(writeTflite(model)));
    for (const { subgraphs } of [model, written]) {
      const shared = subgraphs.map(({ tensors }) => new Set(tensors.map(({ data }) => data)));
      const [first, second] = shared.map((set) => [...set].filter((data) => data !== null));
      expect(first?.some((data) => second?.includes(data))).toBe(true);
    }
  });
});
