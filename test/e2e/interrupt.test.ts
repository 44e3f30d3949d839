import { afterAll, expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { removeFolders, startAgent } from './support/agent.ts';
import { NOTHING_LEFT, refusal } from './support/expect.ts';
import { smallDemo, testFiles } from './support/files.ts';

afterAll(removeFolders);
const LIMIT_MS = 60_000;
const DEMO = smallDemo(testFiles());
const ONE = ['--threads', '1', '--precision', 'int8-static'] as const;
const BENCH = ['bench', DEMO, ...ONE, '--min-time', '5'] as const;
const INTERRUPTED = refusal(1, /^agent: interrupted$/);

test.each([
  ['SIGINT', 'reading'],
  ['SIGTERM', 'preparing'],
  ['SIGINT', 'calibrating'],
  ['SIGTERM', 'calibrating'],
  ['SIGINT', 'judging'],
  ['SIGTERM', 'loading'],
  ['SIGINT', 'measuring'],
  ['SIGTERM', 'measuring'],
] as const)(
  '%s while %s',
  async (signal, phase) => {
    const running = startAgent(BENCH);
    await running.until(new RegExp(`^agent: ${phase}`, 'm'));
    running.child.kill(signal);
    expect(await running.ended).toMatchObject(INTERRUPTED);
  },
  LIMIT_MS,
);

/** Its children are stopped, so that it has to wait for them. */
async function startStuck() {
  const running = startAgent(BENCH);
  await running.until(/^agent: calibrating/m);
  const worker = await running.childNamed(/worker-main/);
  process.kill(worker, 'SIGSTOP');
  return running;
}

test(
  'a child that does not answer is killed',
  async () => {
    const running = await startStuck();
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject(INTERRUPTED);
  },
  LIMIT_MS,
);

test(
  'a second signal ends it at once, and still leaves nothing',
  async () => {
    const running = await startStuck();
    running.child.kill('SIGINT');
    running.child.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 1, ...NOTHING_LEFT });
  },
  LIMIT_MS,
);

test(
  'killed, it takes its children along',
  async () => {
    const running = startAgent(BENCH);
    await running.until(/^agent: measuring/m);
    expect(running.children().length).toBe(2);
    running.child.kill('SIGKILL');
    expect(await running.ended).toMatchObject({ signal: 'SIGKILL', leftProcesses: [] });
  },
  LIMIT_MS,
);

test(
  'interrupted while a file is about to be written: no part of it stays',
  async () => {
    const running = startAgent(['quantize', DEMO, '--to', 'fp16', '-o', 'out.onnx']);
    await running.until(/^agent: checking/m);
    running.child.kill('SIGTERM');
    expect(await running.ended).toMatchObject(INTERRUPTED);
  },
  LIMIT_MS,
);

test(
  'a candidate whose process is killed fails with its reason; the others go on',
  async () => {
    const running = startAgent(['bench', DEMO, ...ONE, '--min-time', '0.5', '--json']);
    await running.until(/^agent: measuring/m);
    const victim = Math.min(...running.children());
    process.kill(victim, 'SIGKILL');
    const ran = await running.ended;
    expect(ran).toMatchObject({ code: 0, said: [], ...NOTHING_LEFT });
    const { candidates, chosen } = benchSchema.parse(JSON.parse(ran.out));
    const failed = candidates.filter(({ verdict }) => verdict === 'failed');
    expect(failed).toEqual([
      expect.objectContaining({
        latencyMs: null,
        reason: expect.stringMatching(/was killed \(SIGKILL\), probably because memory ran out$/),
      }),
    ]);
    expect(candidates.some(({ id }) => id === chosen)).toBe(true);
    expect(chosen).not.toBe(failed[0]?.id);
  },
  LIMIT_MS,
);

test(
  'a candidate that crashes the runtime fails with its reason',
  async () => {
    const running = startAgent(['bench', DEMO, ...ONE, '--min-time', '0.5', '--json']);
    await running.until(/^agent: measuring/m);
    process.kill(Math.max(...running.children()), 'SIGSEGV');
    const ran = await running.ended;
    const { candidates } = benchSchema.parse(JSON.parse(ran.out));
    const reasons = candidates.flatMap((one) => (one.verdict === 'failed' ? [one.reason] : []));
    expect(reasons).toEqual([expect.stringMatching(/crashed: SIGSEGV \(invalid memory access/)]);
    expect(ran).toMatchObject({ code: 0, said: [], ...NOTHING_LEFT });
  },
  LIMIT_MS,
);

test(
  'when every candidate is gone, that is said and the exit code is 1',
  async () => {
    const running = startAgent(['bench', DEMO, '--as-is', '--threads', '1', '--min-time', '0.5']);
    await running.until(/^agent: measuring/m);
    for (const child of running.children()) process.kill(child, 'SIGKILL');
    const ran = await running.ended;
    expect(ran.code).toBe(1);
    expect(ran.said).toEqual([
      expect.stringMatching(/^agent: nothing could be chosen: .* was killed/),
    ]);
    expect(ran.out).toContain('Chosen: nothing');
  },
  LIMIT_MS,
);
