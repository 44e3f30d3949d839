import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compileForEdgeTpu, findCompiler } from '../../../agent/deploy/pack/compiler.ts';

/** Programs that fail in the ways that a compiler can, as small scripts. */
let folder: string;
const signal = new AbortController().signal;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-compiler-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function program(name: string, script: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

const compile = (path: string, more = {}) =>
  compileForEdgeTpu({ program: path, model: '/models/face.tflite', folder, signal, ...more });

test('is found on the PATH, in folders that are absolute', async () => {
  await program('edgetpu_compiler', 'exit 0');
  await writeFile(join(folder, 'plain'), '');
  expect(await findCompiler([tmpdir(), folder].join(delimiter))).toBe(
    join(folder, 'edgetpu_compiler'),
  );
  expect(await findCompiler(`.${delimiter}relative`)).toBeUndefined();
  expect(await findCompiler(undefined)).toBeUndefined();
});

test('is called as documented; a log in a file is read where it prints none', async () => {
  const path = await program(
    'quiet',
    `echo "$@" > ${folder}/args
     printf 'Operator Count Status\\nCONV_2D 7 Mapped to Edge TPU\\nSOFTMAX 1 Not supported\\n' > ${folder}/face_edgetpu.log
     touch ${folder}/face_edgetpu.tflite`,
  );
  const made = await compile(path);
  expect(await readFile(join(folder, 'args'), 'utf8')).toBe(
    `-s -o ${folder} /models/face.tflite\n`,
  );
  expect(made).toMatchObject({ path: join(folder, 'face_edgetpu.tflite'), mapped: 7 });
  expect(made.report.operators).toHaveLength(2);
  await rm(made.path);
});

test.each([
  [
    'exits',
    'echo "ERROR: Model not quantized"; echo Aborting >&2; exit 1',
    'face.tflite (exit code 1): ERROR: Model not quantized; Aborting',
  ],
  ['crashes', 'kill -SEGV $$', 'face.tflite (ended by SIGSEGV): it does not say why'],
  ['writes nothing', 'echo "nothing to do"', 'wrote no face_edgetpu.tflite: nothing to do'],
])('that %s: one line with its own words', async (name, script, words) => {
  const path = await program(name.replace(' ', '-'), script);
  await expect(compile(path)).rejects.toMatchObject({
    code: 'compiler-failed',
    kind: 'failure',
    message: expect.stringContaining(words),
  });
});

test('that is no program', async () => {
  const path = join(folder, 'plain');
  await expect(compile(path)).rejects.toMatchObject({
    message: expect.stringMatching(/^cannot start .*plain: .*EACCES/),
  });
});

test('that hangs is ended, and so is what it started', async () => {
  const path = await program('hangs', `echo thinking; sleep 600 & echo $! > ${folder}/pid; wait`);
  await expect(compile(path, { timeoutMs: 500 })).rejects.toMatchObject({
    message: 'edgetpu_compiler was ended after 0.5 s without a result: thinking',
  });
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
  await gone(pid);
});

test('stops when the run is interrupted', async () => {
  const path = await program('slow', 'sleep 600');
  const abort = new AbortController();
  const made = compile(path, { signal: abort.signal });
  setTimeout(() => abort.abort(new Error('interrupted')), 100);
  await expect(made).rejects.toThrow('interrupted');
});

/** Resolves when a process is no more; a zombie nobody reaps counts. */
async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    // oxlint-disable-next-line no-await-in-loop -- polling, with an end
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    if (state === null || / Z /.test(state)) return;
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(20);
  }
  throw new Error(`process ${pid} is still there`);
}
