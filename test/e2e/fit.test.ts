import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decisionSchema, type DecisionRecord } from '../../agent/contracts/fit.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import { shippedPath } from '../../agent/util/paths.ts';
import { readNpz } from '../support/read-npz.ts';
import { agent, makeFolder, removeFolders, type Ran } from './support/agent.ts';
import { DONE, tooWide } from './support/expect.ts';
import { DEMO, productModel, QUICK, testFiles } from './support/files.ts';

afterAll(removeFolders);

const folder = join(makeFolder(), 'made/by/fit');
let ran: Ran;
let record: DecisionRecord;

beforeAll(async () => {
  // Size, so that the choice does not hang on how busy the machine is.
  const choice = ['--precision', 'int8-static', '--optimize', 'size'];
  ran = await agent(['fit', DEMO, '-o', folder, ...QUICK, ...choice]);
  record = decisionSchema.parse(JSON.parse(readFileSync(join(folder, 'decision.json'), 'utf8')));
}, 90_000);

test('prints the table and where the model went', () => {
  expect(ran).toMatchObject(DONE);
  expect(ran.out).toContain(`Kept: ${join(folder, record.chosen.file)}`);
  expect(tooWide(ran, folder)).toEqual([]);
});

test('the folder holds the model, the record and the report', () => {
  const { file, sha256, bytes } = record.chosen;
  expect(readdirSync(folder).toSorted()).toEqual([file, 'decision.json', 'report.md'].toSorted());
  const model = readFileSync(join(folder, file));
  expect(model.length).toBe(bytes);
  expect(createHash('sha256').update(model).digest('hex')).toBe(sha256);
  const report = readFileSync(join(folder, 'report.md'), 'utf8');
  expect(report).toMatch(/^# /);
  expect(report).toContain(record.chosen.id);
});

/** Every image as the manifest says: (pixel - 128) / 64. */
async function topOne(model: string): Promise<number> {
  const { image, labels } = await readNpz(shippedPath('demo', 'samples.npz'));
  if (image === undefined || labels === undefined) throw new Error('not the demo samples');
  const session = await onnxRuntime.open(model, { threads: 1, optimization: 'all', arena: true });
  let right = 0;
  for (let at = 256; at < 1056; at++) {
    const pixels = image.bytes.subarray(at * 1024, (at + 1) * 1024);
    const data = Float32Array.from(pixels, (value) => (value - 128) / 64);
    // oxlint-disable-next-line no-await-in-loop -- one session
    const { logits } = await session.run({
      image: { dtype: 'float32', shape: [1, 1, 32, 32], data },
    });
    const scores = Array.from(logits?.data ?? [], Number);
    if (scores.indexOf(Math.max(...scores)) === labels.bytes.readInt32LE(at * 4)) right += 1;
  }
  await session.close();
  return right / 800;
}

test('the kept model loads and is as accurate as the record says', async () => {
  const row = record.bench.candidates.find(({ id }) => id === record.chosen.id);
  expect(record.chosen).toMatchObject({ method: 'static', precision: 'int8', threads: 1 });
  expect(await topOne(join(folder, record.chosen.file))).toBeCloseTo(row?.accuracy?.value ?? 0, 9);
}, 60_000);

test('weights in a file of their own are kept beside the model', async () => {
  const { path, put } = testFiles();
  put(
    'parts/weights.bin',
    new Uint8Array(Float32Array.from({ length: 16 }, (_, at) => Math.sqrt(at)).buffer),
  );
  const weights = [{ name: 'w', shape: [4, 4], data: { file: 'parts/weights.bin' } }];
  const model = put('model.onnx', productModel({ weights }));
  const args = ['fit', model, '-o', path('kept'), '--as-is', ...QUICK, '--json'];
  const kept = await agent(args, { cwd: makeFolder() });
  expect(kept).toMatchObject(DONE);
  const { chosen } = decisionSchema.parse(JSON.parse(kept.out));
  expect(chosen.companions).toEqual(['parts/weights.bin']);
  const options = { threads: 1, optimization: 'all', arena: true } as const;
  const session = await onnxRuntime.open(path(`kept/${chosen.file}`), options);
  const { y } = await session.run({
    x: { dtype: 'float32', shape: [1, 4], data: Float32Array.of(1, 0, 0, 0) },
  });
  await session.close();
  expect(Array.from(y?.data ?? [], Number)).toEqual([
    0,
    1,
    Math.fround(Math.SQRT2),
    Math.fround(Math.sqrt(3)),
  ]);
}, 60_000);
