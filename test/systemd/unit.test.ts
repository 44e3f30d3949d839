import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { loadConfig } from '../../agent/config/load.ts';
import { testIf } from '../support/available.ts';

const FOLDER = resolve(import.meta.dirname, '../../systemd');
const UNIT = resolve(FOLDER, 'edgefit.service');

/** Every `Key=value` of the unit. */
function settings(): string[] {
  return readFileSync(UNIT, 'utf8')
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line));
}

test('systemd watches the daemon and gives up on wrong configurations only', () => {
  expect(settings()).toEqual(
    expect.arrayContaining([
      'Type=notify',
      'NotifyAccess=all',
      'Restart=always',
      'RestartPreventExitStatus=78',
      'WatchdogSec=60',
      'StartLimitIntervalSec=0',
    ]),
  );
});

test('the daemon is started as it is measured', () => {
  const bench = readFileSync(resolve(FOLDER, '../scripts/bench-daemon.js'), 'utf8');
  expect(settings()).toContain('Environment=MALLOC_ARENA_MAX=1');
  expect(bench).toContain("MALLOC_ARENA_MAX: '1'");
});

test('nothing keeps the runtimes from working', () => {
  const keys = settings().map((line) => line.split('=')[0]);
  expect(keys).not.toContain('MemoryDenyWriteExecute');
  expect(keys).not.toContain('PrivateDevices');
  expect(settings().filter((line) => line.includes('~@resources'))).toEqual([]);
});

testIf('systemd-analyze')('the exposure is at most 2.0', () => {
  const lines = execFileSync(
    'systemd-analyze',
    ['security', '--offline=true', '--no-pager', UNIT],
    {
      encoding: 'utf8',
    },
  );
  const [, exposure] = /Overall exposure level for edgefit\.service: ([\d.]+)/.exec(lines) ?? [];
  expect(Number(exposure)).toBeGreaterThan(0);
  expect(Number(exposure)).toBeLessThanOrEqual(2);
});

test('the default configuration is accepted, and so is what it suggests', async () => {
  const file = resolve(FOLDER, 'agent.yaml');
  const { config } = await loadConfig({ file, env: {} });
  expect(config.mqtt.url).toBeUndefined();
  const suggested = readFileSync(file, 'utf8').replaceAll(/^#(?! )|^#(?=  \w+:)/gm, '');
  const { parseYaml } = await import('../../agent/config/yaml-text.ts');
  const { configSchema } = await import('../../agent/contracts/config.ts');
  const { value } = parseYaml(suggested, 'agent.yaml');
  const parsed = configSchema.parse(value);
  expect(parsed.mqtt.url).toBe('mqtts://broker.example:8883');
  expect(parsed.tags).toEqual(['site-a']);
  // It says that these are all.
  const { configLeaves } = await import('../../agent/config/environment.ts');
  for (const { path } of configLeaves) expect(value).toHaveProperty([...path]);
});
