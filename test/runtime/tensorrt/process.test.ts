import { setTimeout as sleep } from 'node:timers/promises';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runTrtexec } from '../../../agent/runtime/tensorrt/process.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-process-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function script(name: string, body: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

const run = (path: string, rest: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  runTrtexec(path, [], { doing: 'build an engine', timeoutMs: 20_000, ...rest });

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A process is gone once its parent, or init, has asked for its exit code. */
async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if (!isAlive(pid)) return true;
    // oxlint-disable-next-line no-await-in-loop -- waits for another process
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    if (state === '' || state.split(' ')[2] === 'Z') return true;
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(50);
  }
  return false;
}

const HANGS = (file: string) => `sleep 300 & echo $! > ${file}; echo $$ >> ${file}; wait`;

test('a program that hangs is killed with all it has started', async () => {
  const pids = join(folder, 'hang.pids');
  const failure = run(await script('hang', HANGS(pids)), { timeoutMs: 1500 });
  await expect(failure).rejects.toMatchObject({
    code: 'HUNG',
    message: expect.stringContaining('within 1.5 s'),
  });
  const started = (await readFile(pids, 'utf8')).trim().split('\n').map(Number);
  expect(started).toHaveLength(2);
  for (const pid of started) expect(await isGone(pid)).toBe(true);
});

test('an abort ends it, and the group', async () => {
  const pids = join(folder, 'abort.pids');
  const controller = new AbortController();
  const failure = run(await script('abort', HANGS(pids)), { signal: controller.signal });
  const text = async () => readFile(pids, 'utf8').catch(() => '');
  // oxlint-disable-next-line no-await-in-loop -- waits for the other process to have started
  for (let i = 0; i < 200 && (await text()).split('\n').length < 3; i++) await sleep(20);
  controller.abort();
  await expect(failure).rejects.toMatchObject({ code: 'ABORTED' });
  for (const pid of (await text()).trim().split('\n')) expect(await isGone(Number(pid))).toBe(true);
});

test('an aborted signal starts nothing', async () => {
  const signal = AbortSignal.abort();
  await expect(run('/nowhere', { signal })).rejects.toMatchObject({ code: 'ABORTED' });
});

test('a program that the kernel killed ran out of memory', async () => {
  const path = await script('killed', 'kill -KILL $$');
  await expect(run(path)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
});

test('one that crashed says how', async () => {
  const path = await script('crash', 'kill -SEGV $$');
  await expect(run(path)).rejects.toMatchObject({
    code: 'CRASHED',
    message: expect.stringContaining('SIGSEGV'),
  });
});

test('a failed assertion is explained, though it looks like a crash', async () => {
  const line = "builder.cpp:9: Assertion \\`builder->platformHasFastInt8()' failed.";
  const path = await script('assert', `echo "${line}" >&2; kill -ABRT $$`);
  await expect(run(path)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining('no INT8 arithmetic'),
  });
});

test('when it inferred is known from when it says how long that took', async () => {
  const line = '[11/26/2026-10:00:00] [I] Timing trace has 5 queries over 0.25 s';
  const before = performance.now();
  const { inferring } = await run(await script('infer', `sleep 0.3; echo "${line}"; sleep 0.3`));
  const after = performance.now();
  const { startMs = 0, endMs = 0 } = inferring ?? {};
  expect(endMs - startMs).toBeCloseTo(250, 6);
  expect(endMs).toBeGreaterThanOrEqual(before + 300);
  expect(endMs).toBeLessThanOrEqual(after - 290);
  expect((await run(await script('silent', 'true'))).inferring).toBeNull();
});

test('long output is read, and little of it is kept', async () => {
  const path = await script(
    'talk',
    "head -c 30000000 /dev/zero | tr '\\0' 'x'; echo; yes '[11/26/2026-10:00:00] [W] again' | head -100000; echo '&&&& PASSED TensorRT.trtexec [TensorRT v8502] # x'",
  );
  const { head, log } = await run(path);
  expect(log.status).toBe('passed');
  expect(log.warnings).toHaveLength(200);
  expect(head.length).toBeLessThan(200_000);
});
