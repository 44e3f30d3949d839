import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { programPath } from '../support/available.ts';
import { agent, removeFolders } from './support/agent.ts';
import { mountDisk, unmountDisks } from './support/disks.ts';
import { refusal } from './support/expect.ts';
import { DEMO, DEMO_MODEL, productModel, QUICK, testFiles } from './support/files.ts';

afterAll(() => {
  unmountDisks();
  removeFolders();
});
const { folder, path, put } = testFiles();
const model = put('model.onnx', productModel());
const text = put('a.txt', 'a file');

const toFp16 = (output: string) => ['quantize', model, '--to', 'fp16', '-o', output];
const toReport = (output: string) => ['bench', model, '--as-is', ...QUICK, '-o', output];
const toFolder = (output: string) => ['fit', model, '--as-is', ...QUICK, '-o', output];

describe('a result that cannot be written is refused before the work', () => {
  test.each([
    [toFp16(folder), 'it is a folder, not a file'],
    [toFp16('/dev/full'), 'cannot write /dev/full: it is neither a file nor a folder'],
    [toFp16(join(text, 'out.onnx')), 'a part of the path is not a folder'],
    [toReport(folder), 'it is a folder, not a file'],
    [toReport('/dev/full'), 'it is neither a file nor a folder'],
    [toFolder(text), `${text} is a file: give a folder with -o`],
    [toFolder(join(text, 'fitted')), 'a part of the path is not a folder'],
  ])('agent %j', async (args, says) => {
    const ran = await agent(args);
    expect(ran).toMatchObject({ ...refusal(2, says), err: `${ran.said[0]}\n` });
    expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
  });

  test('a file system that takes no new folders', async () => {
    // Node's own recursive mkdir never returns here.
    expect(await agent(toFp16('/proc/x/out.onnx'))).toMatchObject(
      refusal(2, 'cannot write /proc/x'),
    );
    const { code, said } = await agent(toFolder('/proc/x/fitted'));
    expect({ code, said }).toEqual({
      code: 2,
      said: [expect.stringContaining('/proc/x/fitted: no')],
    });
  });
});

describe('a temporary folder that cannot be used', () => {
  test.each([path('missing'), '/proc', text])('%s', async (folderOfRun) => {
    const ran = await agent(toFp16(path('t.onnx')), { env: { TMPDIR: folderOfRun } });
    const says = `cannot make a working folder (TMPDIR) in ${folderOfRun}: `;
    expect(ran).toMatchObject(refusal(2, says));
    expect(existsSync(path('t.onnx'))).toBe(false);
  });
});

test('a full stdout', async () => {
  const through = ['sh', '-c', 'exec "$@" > /dev/full', 'sh'];
  const ran = await agent(['probe'], { through });
  const says = 'cannot write the result to stdout: no space left on the device';
  expect(ran).toMatchObject(refusal(1, says));
});

const limited = programPath('prlimit') === undefined ? test.skip : test;

limited('files that may not grow so large', async () => {
  const output = path('large.onnx');
  const ran = await agent(['quantize', DEMO, '--to', 'int8-static', '-o', output], {
    through: ['prlimit', '--fsize=100000'],
  });
  expect(ran).toMatchObject(refusal(1, 'the file would be larger than is allowed here'));
  expect(existsSync(output)).toBe(false);
});

const small = mountDisk('size=64k');
const full = small === undefined ? describe.skip : describe;

full('a full disk', () => {
  const disk = small ?? '';

  test('under the output: the old file stays whole', async () => {
    const output = join(disk, 'old/out.onnx');
    await agent(toFp16(output));
    const before = readFileSync(output);
    const ran = await agent(['quantize', DEMO_MODEL, '--to', 'fp16', '-o', output]);
    const says = `cannot write ${output}: no space left on the device`;
    expect(ran).toMatchObject(refusal(1, says));
    expect(readFileSync(output)).toEqual(before);
    expect(readdirSync(join(disk, 'old'))).toEqual(['out.onnx']);
  });

  test('under the kept model: the table is printed, nothing half-made stays', async () => {
    const ran = await agent(['fit', DEMO_MODEL, '--as-is', ...QUICK, '-o', join(disk, 'fitted')]);
    expect(ran).toMatchObject({
      code: 1,
      said: [expect.stringContaining('no space left on the device')],
      leftFiles: [],
    });
    expect(ran.out).toContain('Chosen: #1');
    expect(readdirSync(join(disk, 'fitted'))).toEqual([]);
  });

  test('under the temporary folder', async () => {
    const output = path('other-disk.onnx');
    const args = ['quantize', DEMO_MODEL, '--to', 'fp16', '-o', output];
    const ran = await agent(args, { env: { TMPDIR: disk } });
    expect(ran).toMatchObject(refusal(1, 'no space left on the device'));
    expect(existsSync(output)).toBe(false);
    expect(readdirSync(disk).filter((name) => name.startsWith('edgefit-'))).toEqual([]);
  });
});

const fixed = mountDisk('size=64k,ro');
const readOnly = fixed === undefined ? test.skip : test;

readOnly('a read-only disk is refused before the work', async () => {
  const disk = fixed ?? '';
  const says = 'the file system is read-only';
  expect(await agent(toFp16(join(disk, 'new/out.onnx')))).toMatchObject(refusal(2, says));
  expect(await agent(toReport(join(disk, 'report.json')))).toMatchObject(refusal(2, says));
  expect(await agent(toFolder(join(disk, 'fitted')))).toMatchObject(refusal(2, says));
});
