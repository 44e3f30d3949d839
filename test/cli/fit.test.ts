import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { decisionSchema } from '../../agent/contracts/fit.ts';
import { report } from '../fit/report-fixture.ts';
import { run } from './support.ts';

const CONTENT = 'a quantized model';
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-fit-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function winner() {
  const path = join(folder, 'made.onnx');
  await writeFile(path, CONTENT);
  await writeFile(join(folder, 'weights.bin'), 'weights');
  return new Map([[report.chosen ?? '', { path, companions: ['weights.bin'] }]]);
}

test('keeps the winner, what belongs to it, the record and the report', async () => {
  const target = join(folder, 'deep', 'fitted');
  const ran = await run(['fit', 'm.onnx', '-o', target], { files: await winner() });
  expect(ran).toMatchObject({ code: 0, cleanups: 1 });
  const file = 'mobilenet-v1-025-224.int8-static.onnx';
  expect(await readdir(target)).toEqual(['decision.json', file, 'report.md', 'weights.bin']);
  expect(await readFile(join(target, file), 'utf8')).toBe(CONTENT);
  const record = decisionSchema.parse(
    JSON.parse(await readFile(join(target, 'decision.json'), 'utf8')),
  );
  expect(record.chosen).toMatchObject({
    id: 'onnxruntime/int8-static/t2',
    file,
    companions: ['weights.bin'],
    bytes: CONTENT.length,
    sha256: createHash('sha256').update(CONTENT).digest('hex'),
    threads: 2,
  });
  expect(await readFile(join(target, 'report.md'), 'utf8')).toContain('# mobilenet-v1-025-224 on');
  expect(ran.out).toContain(`Kept: ${join(target, file)}`);
});

test('--json prints the record', async () => {
  const ran = await run(['fit', 'm.onnx', '-o', join(folder, 'out'), '--json'], {
    files: await winner(),
  });
  expect(decisionSchema.parse(JSON.parse(ran.out)).bench.chosen).toBe(report.chosen);
});

test('a hostile model name stays inside the folder', async () => {
  const model = { ...report.model, name: '../../.bashrc\n' };
  const target = join(folder, 'out');
  const ran = await run(['fit', 'm.onnx', '-o', target], {
    report: { ...report, model },
    files: await winner(),
  });
  expect(ran.code).toBe(0);
  expect(await readdir(target)).toContain('bashrc-.int8-static.onnx');
});

test('nothing chosen: nothing is kept', async () => {
  const ran = await run(['fit', 'm.onnx', '-o', join(folder, 'out')], {
    report: { ...report, chosen: null },
  });
  expect(ran.code).toBe(1);
  expect(await readdir(folder)).toEqual([]);
});

test('a file in the place of the folder is refused before the work', async () => {
  const target = join(folder, 'file');
  await writeFile(target, '');
  const ran = await run(['fit', 'm.onnx', '-o', target]);
  expect(ran).toMatchObject({ code: 2, benched: [] });
  expect(ran.err).toContain('is a file: give a folder with -o');
});

test.each([
  [['fit', '-o', 'x'], "missing required argument 'model'"],
  [['fit', 'm.onnx'], "required option '-o, --output <dir>' not specified"],
])('refused: %j', async (args, message) => {
  const ran = await run(args);
  expect(ran).toMatchObject({ code: 2, out: '', benched: [] });
  expect(ran.err).toContain(message);
  expect(ran.err).toContain("see 'agent fit --help'");
});
