import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { waveSchema } from '../../agent/contracts/rollout.ts';
import { telemetrySchema } from '../../agent/contracts/telemetry.ts';
import { watch } from '../daemon/fleet-support.ts';
import { until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto } from '../fleet/support/mosquitto.ts';

const LIMIT_MS = 300_000;
const SCRIPT = join(import.meta.dirname, '../../scripts/simulate-fleet.js');
jest.setTimeout(LIMIT_MS);

const count = z.int().nonnegative();
/** What other programs read, and what else is looked at here. */
const resultSchema = z.looseObject({
  devices: count,
  completed: count,
  failed: count,
  stopped: z.boolean(),
  lost: count,
  seconds: z.number().positive(),
  messagesPerDevice: z.number().positive(),
  controllerPeakRssBytes: z.number().positive(),
  state: z.string(),
  issuedTwice: count,
  disconnected: count,
  restarted: count,
  counts: z.looseObject({ targets: count, pending: count, succeeded: count, failed: count }),
  waves: z.array(waveSchema.pick({ kind: true, state: true, counts: true })),
});

async function simulate(args: readonly string[]) {
  const stdout = await new Promise<string>((resolve, reject) => {
    const options = { timeout: LIMIT_MS, maxBuffer: 1e7 };
    execFile(process.execPath, [SCRIPT, ...args, '--json'], options, (error, out, complaint) => {
      if (error === null) resolve(out);
      else reject(new Error(complaint, { cause: error }));
    });
  });
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  return resultSchema.parse(JSON.parse(lines[0] ?? ''));
}

describeWithMosquitto('a fleet at a broker with default limits', () => {
  test('a rollout to 1,000 devices, 2 % of which fail, reaches every one and loses nothing', async () => {
    const result = await simulate(['--devices', '1000', '--fail', '2%']);
    expect(Object.keys(result).slice(0, 8)).toEqual([
      'devices',
      'completed',
      'failed',
      'stopped',
      'lost',
      'seconds',
      'messagesPerDevice',
      'controllerPeakRssBytes',
    ]);
    expect(result).toMatchObject({
      devices: 1000,
      completed: 980,
      failed: 20,
      stopped: false,
      lost: 0,
      state: 'completed',
      issuedTwice: 0,
      disconnected: 20,
      restarted: 20,
      counts: { targets: 1000, pending: 0, succeeded: 980, failed: 20 },
    });
    // A job takes a dozen records; whoever sends progress for its own sake would show here.
    expect(result.messagesPerDevice).toBeLessThan(40);
    expect(result.controllerPeakRssBytes).toBeLessThan(400e6);
  });

  test('a rollout that fails on 15 % stops in the wave where the limit is reached', async () => {
    const limits = ['--waves', '10%,40%,100%', '--max-failed', '5%/5'];
    const result = await simulate(['--devices', '200', '--fail', '15%', ...limits]);
    expect(result).toMatchObject({ stopped: true, lost: 0, state: 'paused', issuedTwice: 0 });
    const at = result.waves.findIndex(({ state }) => state === 'failed');
    const [stopped, later] = [result.waves[at], result.waves.slice(at + 1)];
    expect(stopped?.counts.failed).toBeGreaterThanOrEqual(5);
    // It is not the last: what comes after it was left alone.
    expect(later.length).toBeGreaterThan(0);
    for (const { state, counts } of later) {
      expect([state, counts.pending]).toEqual(['scheduled', counts.targets]);
    }
    for (const { counts } of result.waves.slice(0, at)) expect(counts.failed).toBeLessThan(5);
    const reached = result.waves
      .slice(0, at + 1)
      .reduce((sum, { counts }) => sum + counts.targets, 0);
    expect(result.completed + result.failed).toBe(reached);
  });

  test('with --serve devices stay, speak, and go with the simulator', async () => {
    const args = [SCRIPT, '--devices', '5', '--serve', '--telemetry', '1s'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = once(child, 'exit');
    afterThisTest(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const about = z
      .object({ broker: z.url(), devices: z.literal(5) })
      .parse(JSON.parse(String(line)));
    const { seen, client } = await watch(0, about.broker);
    const speakers = (kind: string) =>
      new Set(
        seen.filter(({ topic }) => topic.includes(kind)).map(({ topic }) => topic.split('/')[3]),
      );
    for (const kind of ['/up/card/', '/up/birth', '/up/twin', '/up/tele/', '/up/bench/']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await until(`${kind} of each`, () => speakers(kind).size === 5, LIMIT_MS);
    }
    const reports = seen.filter(({ topic }) => topic.includes('/up/bench/'));
    for (const { document } of reports) {
      const { candidates } = benchSchema.parse(document);
      expect(candidates.length).toBeGreaterThan(1);
      expect(candidates.filter(({ verdict }) => verdict === 'chosen')).toHaveLength(1);
    }
    for (const { document } of seen.filter(({ topic }) => topic.includes('/up/tele/'))) {
      telemetrySchema.parse(document);
    }
    await client.endAsync(true);
    child.kill('SIGTERM');
    expect((await ended)[0]).toBe(0);
  });
});
