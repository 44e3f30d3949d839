import { expect, test } from '@jest/globals';
import { onceFacts } from '../../agent/daemon/run.ts';
import { facts } from '../fleet/support/documents.ts';
import { startDaemon, temporaryFolder, until } from './support.ts';

test('one daemon works on a state folder, and a killed one leaves nothing behind', async () => {
  const state = temporaryFolder();
  const first = startDaemon('logLevel: info\n', { state });
  await until('the first', () => first.log().includes('"started"'));
  const second = startDaemon('logLevel: info\n', { state });
  expect(await second.ended).toBe(1);
  expect(second.log().trim().split('\n')).toEqual([
    `agent: another daemon runs with the state folder ${state}: stop it first, or give this one another stateDir`,
  ]);
  const elsewhere = startDaemon('logLevel: info\n');
  await until('one elsewhere', () => elsewhere.log().includes('"started"'));
  first.child.kill('SIGKILL');
  await first.ended;
  const third = startDaemon('logLevel: info\n', { state });
  await until('the third', () => third.log().includes('"started"'));
});

test('a probe that failed is made again, one that worked is kept', async () => {
  let calls = 0;
  const ask = onceFacts(async () => {
    calls += 1;
    if (calls === 1) throw new Error('busy');
    return facts;
  });
  await expect(ask()).rejects.toThrow('busy');
  expect(await ask()).toBe(facts);
  expect(await ask()).toBe(facts);
  expect(calls).toBe(2);
});
