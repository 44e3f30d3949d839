import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, jest, test } from '@jest/globals';
import { until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { testIf } from '../support/available.ts';

const SCRIPT = resolve(import.meta.dirname, '../../scripts/quick-start.js');
const LIMIT_MS = 280_000;
jest.setTimeout(LIMIT_MS + 10_000);

async function quickStart(...args: readonly string[]) {
  const child = spawn(process.execPath, [SCRIPT, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGTERM'), LIMIT_MS);
  let text = '';
  child.stdout.on('data', (part) => (text += String(part)));
  child.stderr.on('data', (part) => (text += String(part)));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, text };
}

testIf('mosquitto', 'openssl')('brings a model to two devices, and stops everything', async () => {
  const { code, text } = await quickStart('--check');
  expect([code, text]).toEqual([0, expect.stringContaining('completed to 100 % passed')]);
  expect(text).toMatch(/^pi-a +online +\S+ +demo-shapes/m);
  expect(text).toMatch(/^pi-b +online +\S+ +demo-shapes/m);
  const [, folder = ''] = /everything is in (\S+)/.exec(text) ?? [];
  expect(existsSync(folder)).toBe(false);
});

testIf('mosquitto', 'openssl')('leaves nothing behind when it is interrupted twice', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-quick-'));
  afterThisTest(() => rmSync(folder, { recursive: true }));
  const child = spawn(process.execPath, [SCRIPT, folder], { stdio: 'ignore' });
  afterThisTest(() => void child.kill('SIGTERM'));
  const pidFile = join(folder, 'broker', 'pid');
  const read = () => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0);
  const broker = await until('the broker', () => read() || undefined, 60_000);
  expect(() => process.kill(broker, 0)).not.toThrow();
  const ended = once(child, 'exit', { signal: AbortSignal.timeout(60_000) });
  child.kill('SIGINT');
  await sleep(50);
  child.kill('SIGINT');
  await ended;
  expect(() => process.kill(broker, 0)).toThrow('ESRCH');
});

testIf('mosquitto', 'openssl')('does not write into a folder that holds something', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-quick-'));
  afterThisTest(() => rmSync(folder, { recursive: true }));
  const { code, text } = await quickStart(join(folder, '..'));
  expect([code, text]).toEqual([1, expect.stringContaining('is not empty: name another folder')]);
});

test.each([
  [['--what'], "Unknown option '--what'"],
  [['one', 'two'], 'name one folder'],
  [["it's"], 'name a folder of letters, digits'],
])('%j is refused in one line', async (args, why) => {
  const { code, text } = await quickStart(...args);
  expect([code, text]).toEqual([2, expect.stringContaining(why)]);
  expect(text.trim().split('\n')).toHaveLength(1);
});
