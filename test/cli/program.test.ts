import { expect, test } from '@jest/globals';
import { COMMANDS } from '../../agent/cli/commands.ts';
import { precisionChoices, runtimeChoices } from '../../agent/cli/parsers.ts';
import { methods } from '../../agent/contracts/bench.ts';
import { precisions, runtimeNames } from '../../agent/contracts/facts.ts';
import { noScheme, observerNames, schemePresets } from '../../agent/contracts/scheme.ts';
import { run } from './support.ts';

const commands = [
  'probe',
  'bench',
  'fit',
  'quantize',
  'inspect',
  'doctor',
  'run',
  'enrol',
  'completion',
];

test.each([[['--help']], ...commands.map((name) => [[name, '--help']])])(
  '%j fits 80 columns, shows examples and loads nothing',
  async (args) => {
    const ran = await run(args, { loadFit: () => Promise.reject(new Error('not needed')) });
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('Examples:\n  agent ');
    expect(ran.out.split('\n').filter((line) => line.length > 80)).toEqual([]);
  },
);

test('every command is listed in order, and found by its own name', async () => {
  const { out } = await run(['--help']);
  const list = out.slice(out.indexOf('Commands:'), out.indexOf('Examples:'));
  const listed = [...list.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name);
  expect(listed).toEqual([...COMMANDS.keys(), 'help']);
  for (const name of COMMANDS.keys()) {
    // oxlint-disable-next-line no-await-in-loop -- each builds a program of its own
    expect((await run([name, '--help'])).out).toContain(`Usage: agent ${name} `);
  }
});

test('a command that describes the others knows all of them', async () => {
  const { code, out } = await run(['completion', 'bash']);
  expect(code).toBe(0);
  for (const name of COMMANDS.keys()) expect(out).toContain(name);
});

test('--version', async () => {
  expect(await run(['--version'])).toMatchObject({ code: 0, out: '1.2.3\n', err: '' });
});

test('no command: the help on stderr and exit code 2', async () => {
  const ran = await run([]);
  expect(ran).toMatchObject({ code: 2, out: '' });
  expect(ran.err).toContain('Usage: agent');
});

test.each([
  [['benhc'], "agent: unknown command 'benhc' (Did you mean bench?); see 'agent --help'\n"],
  [['--json'], "agent: unknown option '--json'; see 'agent --help'\n"],
])('refused: %j', async (args, err) => {
  expect(await run(args)).toMatchObject({ code: 2, out: '', err });
});

test.each(commands)('agent help %s', async (name) => {
  expect((await run(['--help'])).out).toMatch(new RegExp(`^  ${name} `, 'm'));
  const ran = await run(['help', name]);
  expect(ran).toMatchObject({ code: 0, err: '' });
  // Of a group of commands, each has it.
  expect(ran.out).toContain(name === 'config' ? 'Commands:' : '--debug');
});

test.each(['probe', 'bench'])('%s says of an unknown option where its help is', async (name) => {
  expect(await run([name, '--nonsense'])).toMatchObject({
    code: 2,
    out: '',
    err: `agent: unknown option '--nonsense'; see 'agent ${name} --help'\n`,
  });
});

test('names of options are those of the contracts', () => {
  const bare = precisionChoices.filter((name) => !name.includes('-'));
  expect(bare.toSorted()).toEqual([...precisions].toSorted());
  expect(runtimeChoices).toEqual(runtimeNames);
  expect(observerNames).toEqual(['min-max', 'moving-average', 'percentile', 'entropy', 'mse']);
  const schemes = [noScheme, ...Object.values(schemePresets)];
  expect(schemes.filter(({ method }) => !methods.includes(method))).toEqual([]);
});
