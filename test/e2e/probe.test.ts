import { afterAll, expect, test } from '@jest/globals';
import { factsSchema } from '../../agent/contracts/facts.ts';
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
