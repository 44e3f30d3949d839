import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { readFileFacts } from '../../../agent/runtime/tflite/file-facts.ts';
import { tinyTflite } from '../../support/tiny-tflite.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgefit-file-facts-'));
afterAll(() => rmSync(folder, { recursive: true }));

function save(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

test('reads names, open shapes and signatures, across the pages of the file', () => {
  const tensors = Array.from({ length: 3000 }, (_, index) => ({
    name: `tensor number ${index} ü`,
    shape: [1, index],
    ...(index % 2 === 0 && { signature: [-1, index] }),
    ...(index === 7 && { data: new Float32Array(50_000) }),
  }));
  const facts = readFileFacts(
    save(
      'large.tflite',
      tinyTflite({
        tensors,
        inputs: [2, 0],
        outputs: [2999],
        signatures: [{ key: 'serve', inputs: { a: 2, b: 0 }, outputs: { c: 2999 } }],
      }),
    ),
  );
  expect(facts.tensors).toEqual(
    tensors.map(({ name, signature }) => ({ name, openShape: signature ?? null })),
  );
  expect(facts).toMatchObject({
    inputs: [2, 0],
    outputs: [2999],
    hasVariables: false,
    signatures: [
      {
        key: 'serve',
        subgraph: 0,
        inputs: [
          { name: 'a', tensor: 2 },
          { name: 'b', tensor: 0 },
        ],
        outputs: [{ name: 'c', tensor: 2999 }],
      },
    ],
  });
});

/** A table with one field, whose vector has `count` entries that all lead to one place. */
function unfolding(field: number, count: number, next: Buffer): Buffer {
  const vtable = Buffer.alloc(4 + 2 * (field + 1));
  vtable.writeUInt16LE(vtable.length, 0);
  vtable.writeUInt16LE(8, 2);
  vtable.writeUInt16LE(4, 4 + 2 * field);
  const table = Buffer.alloc(8);
  table.writeInt32LE(-(12 + count * 4), 0); // The vtable lies behind the vector.
  table.writeUInt32LE(4, 4);
  const vector = Buffer.alloc(4 + count * 4);
  vector.writeUInt32LE(count, 0);
  const after = 12 + count * 4 + vtable.length;
  for (let index = 0; index < count; index += 1) {
    vector.writeUInt32LE(after - (12 + index * 4), 4 + index * 4);
  }
  return Buffer.concat([table, vector, vtable, next]);
}

test('a small file that unfolds without end is refused soon', () => {
  // 100,000 times the same subgraph of 10,000 times the same empty tensor.
  const empty = Buffer.from([4, 0, 0, 0, 4, 0, 4, 0]); // A table whose vtable follows it...
  empty.writeInt32LE(-4, 0);
  const graph = unfolding(0, 10_000, empty);
  const model = unfolding(2, 100_000, graph);
  const head = Buffer.from([8, 0, 0, 0, ...Buffer.from('TFL3')]);
  const path = save('unfolding.tflite', Buffer.concat([head, model]));
  expect(() => readFileFacts(path)).toThrow(
    `cannot load ${path}: not a TFLite model, or cut short (more than 8000000 parts)`,
  );
});
