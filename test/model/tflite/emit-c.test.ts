import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { emitC } from '../../../agent/model/tflite/emit-c.ts';
import { microOps } from '../../../agent/model/tflite/micro-ops.ts';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import { makeOperator, makeQuantization } from '../../../agent/model/tflite/types.ts';
import { programPath } from '../../support/available.ts';
import { corpusPath, corpusTflite, describeWithCorpus } from '../../support/corpus.ts';
import { tfliteBytes, tinyTflite, value } from '../../support/tflite-models.ts';

const quantization = makeQuantization([0.003921568859368563], [-128]);

const model = tinyTflite({
  tensors: [
    { ...value('in "x" ?\\é', [1, 4], 'INT8'), quantization },
    { ...value('out', [], 'INT8'), quantization },
    value('magic'),
  ],
  inputs: [0],
  outputs: [1],
  operators: [
    makeOperator({ op: 'RELU', inputs: [0], outputs: [1] }),
    makeOperator({ op: 'CUSTOM', customCode: 'evil */ int x;', inputs: [1], outputs: [2] }),
  ],
});

test('the comment names operators, what is missing and the arena, and stays a comment', () => {
  const source = emitC(tfliteBytes(model), 'keyword', model);
  const [comment] = source.split('*/');
  expect(comment).toContain('tflite::MicroMutableOpResolver<2> resolver;');
  expect(comment).toContain('resolver.AddRelu();');
  expect(comment).toContain('has no kernel for evil * / int x;');
  expect(comment).toContain('Arena: about 32 bytes for tensors. An estimate');
});

test('inputs and outputs with their scales, texts escaped', () => {
  const source = emitC(tfliteBytes(model), 'keyword', model);
  expect(source).toContain(
    '{"in \\042x\\042 \\077\\134\\303\\251", "int8", 2, keyword_inputs_shape_0, 0.00392156886f, -128},',
  );
  expect(source).toContain('const size_t keyword_outputs_count = 1;');
});

test.each(['', '1st', 'a-b', 'a b', 'é'])("the name '%s' is refused", (name) => {
  expect(() => emitC(new Uint8Array(4), name, model)).toThrow('cannot begin a name in C');
});

test('methods of the resolver', () => {
  const ops = [
    'CONV_2D',
    'DEPTHWISE_CONV_2D',
    'FULLY_CONNECTED',
    'SOFTMAX',
    'SPACE_TO_BATCH_ND',
    'ROLL',
  ];
  const operators = ops.map((op) => makeOperator({ op: op as 'ADD', inputs: [0], outputs: [0] }));
  expect(microOps(tinyTflite({ tensors: [value('x')], operators }))).toEqual({
    calls: [
      'AddConv2D',
      'AddDepthwiseConv2D',
      'AddFullyConnected',
      'AddSoftmax',
      'AddSpaceToBatchNd',
    ],
    missing: ['ROLL'],
  });
});

const TIMEOUT_MS = 60_000;
const [cc, cxx] = ['cc', 'c++'].map(programPath);

(cc === undefined ? describe.skip : describe)('a compiler', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'edgefit-emit-c-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const compiled = (compiler: string, extension: string, source: string, main: string) => {
    const [file, program, entry] = [
      `model.${extension}`,
      `program-${extension}`,
      `main.${extension}`,
    ];
    writeFileSync(join(folder, file), source);
    writeFileSync(join(folder, entry), main);
    const strict = ['-Wall', '-Wextra', '-Werror', '-pedantic'];
    const options = { cwd: folder, timeout: TIMEOUT_MS };
    execFileSync(compiler, [...strict, file, entry, '-o', program], options);
    return execFileSync(join(folder, program), { ...options, maxBuffer: 2 ** 26 });
  };

  test(
    'takes it as C, and the bytes are those of the model',
    () => {
      const bytes = tfliteBytes(model);
      const main = `
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
extern const uint8_t keyword[];
extern const size_t keyword_length;
int main(void) {
  if ((uintptr_t)keyword % 16 != 0) return 1;
  return fwrite(keyword, 1, keyword_length, stdout) == keyword_length ? 0 : 2;
}
`;
      const written = compiled(cc ?? '', 'c', emitC(bytes, 'keyword', model), main);
      expect(Buffer.compare(written, bytes)).toBe(0);
    },
    TIMEOUT_MS,
  );

  (cxx === undefined ? test.skip : test)(
    'takes it as C++',
    () => {
      const source = emitC(tfliteBytes(model), 'keyword', model);
      const main = `
#include <cstddef>
#include <cstdio>
extern "C" const std::size_t keyword_length;
int main() { std::printf("%zu", keyword_length); }
`;
      const written = compiled(cxx ?? '', 'cc', source, main);
      expect(Number(written.toString())).toBe(tfliteBytes(model).length);
    },
    TIMEOUT_MS,
  );
});

describeWithCorpus('the corpus', () => {
  test('what published models for microcontrollers need', () => {
    const path = corpusPath('models/others/micro_speech_int8.tflite');
    expect(microOps(openTflite(readFileSync(path)))).toEqual({
      calls: ['AddDepthwiseConv2D', 'AddFullyConnected', 'AddReshape', 'AddSoftmax'],
      missing: [],
    });
  });

  test.each(corpusTflite('models/others'))('%s as C', (_, path) => {
    const file = readFileSync(path);
    const source = emitC(file, 'model', openTflite(file));
    const hex = source.slice(source.indexOf('] = {\n    0x')).match(/0x[0-9a-f]{2}/g) ?? [];
    expect(hex).toHaveLength(file.length);
  });
});
