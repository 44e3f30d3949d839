import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { whyLost } from '../../scripts/simulate-fleet/audit.js';
import { choose, deviceNames } from '../../scripts/simulate-fleet/chance.js';

const SCRIPT = join(import.meta.dirname, '../../scripts/simulate-fleet.js');

const seen = (more: Partial<Parameters<typeof whyLost>[1] & object> = {}) => ({
  issued: 1,
  cleared: false,
  end: null,
  isRefusal: false,
  rolloutId: null,
  ...more,
});

test.each([
  ['both know its end', 'SUCCEEDED', seen({ end: 'SUCCEEDED' }), true, null],
  [
    'both know its end, and it is archived',
    'FAILED',
    seen({ end: 'FAILED', cleared: true }),
    false,
    null,
  ],
  ['it goes on', 'IN_PROGRESS', seen(), true, null],
  ['it was taken back before a device took it', undefined, seen({ cleared: true }), false, null],
  [
    'it was refused before it was a job',
    undefined,
    seen({ end: 'REJECTED', isRefusal: true }),
    true,
    null,
  ],
])('nothing is lost when %s', (_name, kept, known, isRetained, expected) => {
  expect(whyLost(kept, known, isRetained)).toBe(expected);
});

test.each([
  ['no device has the document', undefined, seen(), true],
  ['a document that nobody saw is retained', undefined, undefined, true],
  [
    'an end was told that no journal has',
    undefined,
    seen({ end: 'SUCCEEDED', cleared: true }),
    false,
  ],
  ['an end was never told', 'SUCCEEDED', seen(), true],
  ['another end was told', 'FAILED', seen({ end: 'SUCCEEDED' }), true],
  ['an end was told of a job that goes on', 'IN_PROGRESS', seen({ end: 'FAILED' }), true],
  ['a journal has a job that nobody gave', 'SUCCEEDED', undefined, false],
])('a job is lost when %s', (_name, kept, known, isRetained) => {
  expect(whyLost(kept, known, isRetained)).toEqual(expect.any(String));
});

test('the same seed chooses the same devices, another seed others', () => {
  const names = deviceNames(1000);
  const first = choose('1', 'fails', 20, names);
  expect(first.size).toBe(20);
  expect([...choose('1', 'fails', 20, names)]).toEqual([...first]);
  expect([...choose('2', 'fails', 20, names)]).not.toEqual([...first]);
});

test.each([
  [['--devices', 'many'], '--devices many: use a whole number from 1 to 100000'],
  [['--fail', '120%'], '--fail 120%: use a share such as 2%'],
  [['--max-failed', '5%'], '--max-failed 5%: use a share and a number such as 5%/10'],
  [['--broker-limits', 'none'], '--broker-limits none: use default or raised'],
  [
    ['--folder', import.meta.dirname],
    `--folder ${import.meta.dirname}: it is not empty, name another one`,
  ],
  [['--soak', 'long'], '--soak long: use a time such as 30s, 5m or 1h'],
])('%j is refused in one line', (args, message) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [SCRIPT, ...args], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect([status, stdout, stderr]).toEqual([2, '', `simulate-fleet: ${message}\n`]);
});
