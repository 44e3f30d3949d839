import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  AGENT_MAIN,
  agentFolder,
  chooseAgent,
  prepareStart,
  readAgents,
  writeAgents,
  type AgentsState,
} from '../../agent/util/agents.ts';

const NEW = 'b'.repeat(64);
const OLD = 'a'.repeat(64);
const trial = (starts: number) => ({ jobId: 'j1', starts, before: OLD });
const state: AgentsState = {
  schema: 'edgefit/agents/1',
  current: NEW,
  previous: OLD,
  trial: null,
  failed: null,
  shipped: '0.1.0',
};
const everywhere = () => true;

test.each([
  ['the installed one', { ...state, current: null }, null],
  ['one that is committed', state, NEW],
  ['one on trial', { ...state, trial: trial(0) }, NEW],
  ['for the third time', { ...state, trial: trial(2) }, NEW],
  ['the one before after three starts', { ...state, trial: trial(3) }, OLD],
  ['what was installed since', { ...state, shipped: '0.0.9' }, null],
  ['what was installed during a trial', { ...state, shipped: '0.2.0', trial: trial(1) }, null],
])('starts %s', (_what, before, run) => {
  expect(chooseAgent(before, '0.1.0', everywhere).run).toBe(run);
});

test('counts starts, and says what has failed', () => {
  const second = chooseAgent({ ...state, trial: trial(1) }, '0.1.0', everywhere).state;
  expect(second?.trial?.starts).toBe(2);
  const back = chooseAgent({ ...state, trial: trial(3) }, '0.1.0', everywhere).state;
  expect(back).toMatchObject({
    current: OLD,
    trial: null,
    failed: { jobId: 'j1', digest: NEW, starts: 3 },
  });
});

test('without its files the one before is started, else the installed one', () => {
  const onlyOld = (digest: string) => digest === OLD;
  expect(chooseAgent(state, '0.1.0', onlyOld).run).toBe(OLD);
  expect(chooseAgent(state, '0.1.0', () => false).run).toBeNull();
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-agents-'));
  for (const digest of [OLD, NEW]) {
    const main = join(agentFolder(folder, digest), AGENT_MAIN);
    mkdirSync(dirname(main), { recursive: true });
    writeFileSync(main, '');
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

const installed = { folder: '/usr/lib/edgefit', version: '0.1.0' };

test('the count is on the disk before the start', async () => {
  await writeAgents(folder, { ...state, trial: trial(0) });
  for (const starts of [1, 2, 3]) {
    // oxlint-disable-next-line no-await-in-loop -- one start after the other
    expect(await prepareStart(folder, installed)).toBe(agentFolder(folder, NEW));
    // oxlint-disable-next-line no-await-in-loop -- see above
    expect((await readAgents(folder))?.trial?.starts).toBe(starts);
  }
  expect(await prepareStart(folder, installed)).toBe(agentFolder(folder, OLD));
  expect(await readAgents(folder)).toMatchObject({ current: OLD, trial: null });
});

test.each(['', '{', '{}', '[]', JSON.stringify({ ...state, current: '../../etc' })])(
  'a damaged state file (%s) is said',
  async (text) => {
    writeFileSync(join(folder, 'state.json'), text);
    await expect(prepareStart(folder, installed)).rejects.toMatchObject({ name: 'SyntaxError' });
  },
);

test('the launcher needs nothing but Node.js and small files of ours', () => {
  const seen = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g)) {
      if (!target.startsWith('node:')) visit(join(dirname(file), target));
    }
  };
  visit(join(import.meta.dirname, '../../agent/cli/launch.ts'));
  const names = [...seen].map((file) => file.split('/agent/').at(-1) ?? '');
  expect(names.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    'cli/launch.ts',
    'util/agents.ts',
    'util/durable-steps.ts',
    'util/durable.ts',
    'util/errors.ts',
    'util/files.ts',
    'util/links.ts',
    'util/paths.ts',
    'util/version.ts',
  ]);
});
