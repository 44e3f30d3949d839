import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Worker, startWorker } from '../../agent/runtime/worker.ts';
import { builtModule } from '../../agent/util/paths.ts';

const workers = join(import.meta.dirname, '../fixtures/workers');
const misbehave = join(workers, 'misbehave.mjs');
const TIMEOUT_MS = 20_000;

/** Whether a process exists and is not a zombie. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<boolean> {
  for (let waited = 0; waited < 5000; waited += 50) {
    if (!isAlive(pid)) return true;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(50);
  }
  return false;
}

describe('a worker that answers', () => {
  let worker: Worker;
  beforeEach(async () => {
    worker = await startWorker(misbehave, { name: 'test worker', env: { FLAVOUR: 'mint' } });
  }, TIMEOUT_MS);
  afterEach(() => worker.close());

  test('passes values, nested typed arrays and bigints both ways', async () => {
    const value = {
      name: 'x',
      data: new Float32Array([1.5, -2, Number.NaN]),
      big: new BigInt64Array([2n ** 62n]),
      view: new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
    };
    expect(await worker.call('echo', value)).toEqual(value);
    expect(await worker.call('env', 'FLAVOUR')).toBe('mint');
  });

  test('passes a tensor of 64 MB', async () => {
    const data = new Float32Array(16 * 1024 * 1024);
    data[data.length - 1] = 42;
    const back = (await worker.call('echo', data)) as Float32Array;
    expect([back.length, back.at(-1)]).toEqual([data.length, 42]);
  });

  test('reports progress in order, before the result', async () => {
    const seen: unknown[] = [];
    const options = { onProgress: (value: unknown) => seen.push(value), timeoutMs: TIMEOUT_MS };
    expect(await worker.call('count', 3, options)).toBe('counted');
    expect(seen).toEqual([1, 2, 3]);
  });

  test.each([
    [{ message: 'no such sample', code: 'ENOENT', kind: 'input' }, 'ENOENT', 'input'],
    [{ message: 'cannot load x', code: 'UNSUPPORTED' }, 'UNSUPPORTED', 'input'],
    [{ message: 'odd', code: undefined }, 'RUN_FAILED', 'failure'],
  ])('passes on what a handler throws: %j', async (thrown, code, kind) => {
    await expect(worker.call('fail', thrown)).rejects.toMatchObject({
      message: thrown.message,
      code,
      kind,
    });
    expect(await worker.call('echo', 'still alive')).toBe('still alive');
  });

  test('turns odd throws, unknown methods and values that cannot travel into errors', async () => {
    await expect(worker.call('throwText', null)).rejects.toThrow('only text');
    await expect(worker.call('constructor', null)).rejects.toThrow("no method 'constructor'");
    await expect(worker.call('returnFunction', null)).rejects.toThrow('could not be cloned');
    await expect(worker.call('echo', () => undefined)).rejects.toThrow('could not be cloned');
    expect(await worker.call('echo', 1)).toBe(1);
  });

  test('knows the peak memory, also after the end', async () => {
    const before = worker.peakRssBytes() ?? 0;
    const bytes = 200 * 1024 * 1024;
    await worker.call('allocate', bytes);
    await worker.close();
    expect(worker.peakRssBytes()).toBeGreaterThan(before + 0.9 * bytes);
  });

  test('offers itself to the kernel first when memory runs out', async () => {
    expect(await worker.call('oomScore', null)).toBe('800');
  });
});

test.each<[string, string, unknown, string, RegExp]>([
  ['aborts', 'abort', null, 'CRASHED', /^bad worker crashed: SIGABRT/],
  ['segfaults', 'signal', 'SIGSEGV', 'CRASHED', /^bad worker crashed: SIGSEGV \(invalid memory/],
  ['meets an unknown instruction', 'signal', 'SIGILL', 'CRASHED', /SIGILL \(an instruction/],
  ['is killed', 'signal', 'SIGKILL', 'OUT_OF_MEMORY', /killed \(SIGKILL\), probably because mem/],
  ['exits', 'exit', 3, 'CRASHED', /exit code 3/],
  ['throws outside a call', 'lateError', null, 'CRASHED', /TypeError: nobody awaited this/],
  ['fills its heap', 'fillHeap', null, 'OUT_OF_MEMORY', /^bad worker ran out of memory: FATAL/],
])(
  'a worker that %s rejects its calls and is gone',
  async (_, method, args, code, message) => {
    const worker = await startWorker(misbehave, { name: 'bad worker', maxHeapMegabytes: 40 });
    const failure = worker.call(method, args, { timeoutMs: TIMEOUT_MS });
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(worker.call('echo', 1)).rejects.toMatchObject({ code });
    expect(await untilGone(worker.pid)).toBe(true);
    await worker.close();
  },
  TIMEOUT_MS,
);

test('keeps only the end of what a crashed worker wrote, and nothing on one line', async () => {
  const worker = await startWorker(misbehave, { name: 'talker' });
  const failure = await worker.call('chatter', null).catch((error: unknown) => error);
  expect(failure).toMatchObject({ message: expect.stringMatching(/it said: last words$/) });
  const { stderr } = failure as { stderr: string };
  expect(stderr.length).toBeLessThanOrEqual(4096);
  expect(stderr).not.toContain('stdout');
});

test.each(['spin', 'sleep', 'forever'])(
  'a worker stuck in %s is killed in time',
  async (method) => {
    const worker = await startWorker(misbehave, { name: 'stuck worker' });
    await expect(worker.call(method, null, { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'HUNG',
      message: `stuck worker did not finish ${method} within 0.3 s and was killed`,
    });
    expect(await untilGone(worker.pid)).toBe(true);
  },
);

test('an abort kills a busy worker at once', async () => {
  const controller = new AbortController();
  const worker = await startWorker(misbehave, { name: 'w', signal: controller.signal });
  const call = worker.call('spin', null);
  setTimeout(() => controller.abort(), 50);
  await expect(call).rejects.toMatchObject({ code: 'ABORTED', message: 'w was aborted' });
  expect(await untilGone(worker.pid)).toBe(true);
  await expect(
    startWorker(misbehave, { name: 'w', signal: controller.signal }),
  ).rejects.toMatchObject({ code: 'ABORTED' });
});

test('closing ends a worker that is busy, and rejects its calls', async () => {
  const worker = await startWorker(misbehave, { name: 'w' });
  const call = worker.call('spin', null);
  const outcome = call.catch((error: unknown) => error);
  await worker.close();
  expect(await outcome).toMatchObject({ code: 'ABORTED', message: 'w was closed' });
  expect(isAlive(worker.pid)).toBe(false);
});

test.each([
  ['broken.mjs', /did not start: broken on import/],
  ['no-handlers.mjs', /did not start: it exports no handlers/],
  ['missing.mjs', /did not start: Cannot find module/],
])('refuses to start %s', async (file, message) => {
  await expect(startWorker(join(workers, file), { name: 'w' })).rejects.toMatchObject({
    code: 'START_FAILED',
    message: expect.stringMatching(message),
  });
});

describe('when the parent goes', () => {
  let parent: ChildProcess;
  afterEach(() => {
    parent.kill('SIGKILL');
  });

  async function startParent(method: string, path = process.env['PATH']): Promise<number> {
    const url = pathToFileURL(builtModule('runtime/worker')).href;
    const program = join(workers, 'parent.mjs');
    parent = spawn(process.execPath, [program, url, misbehave, method], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PATH: path },
    });
    const [line] = (await once(parent.stdout!, 'data')) as [Buffer];
    return Number(line.toString());
  }

  test.each<[NodeJS.Signals, string]>([
    ['SIGTERM', 'forever'],
    ['SIGINT', 'spin'],
    ['SIGKILL', 'forever'],
    ['SIGKILL', 'spin'],
  ])('by %s, no worker is left, even one in %s', async (signal, method) => {
    const pid = await startParent(method);
    expect(isAlive(pid)).toBe(true);
    parent.kill(signal);
    const [, by] = await once(parent, 'exit');
    expect(by).toBe(signal);
    expect(await untilGone(pid)).toBe(true);
  });

  test('a worker stuck in native code is not left even without setpriv', async () => {
    const pid = await startParent('spin', '/nowhere');
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    expect(await untilGone(pid)).toBe(true);
  });
});
