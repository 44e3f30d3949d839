import { spawnSync } from 'node:child_process';
import { afterAll, expect, test } from '@jest/globals';
import { factsSchema } from '../../agent/contracts/facts.ts';
import { builtModule } from '../../agent/util/paths.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE, refusal, tooWide } from './support/expect.ts';

afterAll(removeFolders);

test('--json prints the facts and nothing else', async () => {
  const ran = await agent(['probe', '--json']);
  expect(ran).toMatchObject({ ...DONE, err: '' });
  const facts = factsSchema.parse(JSON.parse(ran.out));
  expect(facts.cpu.coresOnline).toBeGreaterThan(0);
  expect(facts.profile.precisions.length).toBeGreaterThan(0);
});

test('for people: a table of 80 columns', async () => {
  const ran = await agent(['probe']);
  expect(ran).toMatchObject({ ...DONE, err: '' });
  expect(ran.out).toMatch(/^Board\n/);
  expect(tooWide(ran)).toEqual([]);
});

test('a root that is not there', async () => {
  const ran = await agent(['probe', '--root', '/no/such/root']);
  expect(ran).toMatchObject(refusal(2, 'cannot read the machine under /no/such/root'));
});

const NOBODY = 65_534;
const asRoot = process.getuid?.() === 0 ? test : test.skip;

// Where tests are run by somebody else, every other test here shows the same.
asRoot('needs no root: nobody sees the same machine', () => {
  const args = [builtModule('cli/main'), 'probe', '--json'];
  const env = { PATH: process.env['PATH'] ?? '' };
  const ran = spawnSync(process.execPath, args, {
    uid: NOBODY,
    gid: NOBODY,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: '' });
  const facts = factsSchema.parse(JSON.parse(ran.stdout));
  expect(facts.cpu.coresOnline).toBeGreaterThan(0);
  expect(facts.unknown.filter(({ why }) => why.includes('permission denied'))).toEqual([]);
});
