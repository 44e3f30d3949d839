import { afterAll, expect, test } from '@jest/globals';
import { factsSchema } from '../../agent/contracts/facts.ts';
import { agent, removeFolders } from './support/agent.ts';
import { expectFits, expectNothingLeft, expectRefusal } from './support/expect.ts';

afterAll(removeFolders);

test('--json prints the facts and nothing else', async () => {
  const ran = await agent(['probe', '--json']);
  expect(ran).toMatchObject({ code: 0, err: '' });
  const facts = factsSchema.parse(JSON.parse(ran.out));
  expect(facts.cpu.coresOnline).toBeGreaterThan(0);
  expect(facts.profile.precisions.length).toBeGreaterThan(0);
  expectNothingLeft(ran);
});

test('for people: a table of 80 columns', async () => {
  const ran = await agent(['probe']);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toMatch(/^Board\n/);
  expectFits(ran.out);
});

test('a root that is not there', async () => {
  expectRefusal(await agent(['probe', '--root', '/no/such/root']), 2, '/no/such/root');
});
