import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { buildProgram } from '../../agent/cli/program.ts';
import { testContext } from '../cli/support.ts';
import { callsIn, mistakesOf } from '../support/command-lines.ts';

const root = resolve(import.meta.dirname, '../..');
const program = await buildProgram(testContext(), { code: 0 });

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

test.each(pages)('%s: every command line knows its command and options', (page) => {
  const calls = callsIn(readFileSync(join(root, page), 'utf8'));
  expect(calls.flatMap((call) => mistakesOf(call, program))).toEqual([]);
});

test('the README calls the program, so that the rule above is not about nothing', () => {
  const calls = callsIn(readFileSync(join(root, 'README.md'), 'utf8'));
  expect(calls).toContainEqual(['bench']);
  expect(calls.length).toBeGreaterThan(15);
});

function leavesOf(command: Command): readonly Command[] {
  const below = command.commands.filter((one) => one.name() !== 'help');
  return below.length === 0 ? [command] : below.flatMap(leavesOf);
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

/** As `--help` prints it. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

test.each(leavesOf(program).map((command) => [nameOf(command), command] as const))(
  '%s --help fits, teaches by examples that parse, and says how it exits',
  (name, command) => {
    const help = helpOf(command);
    expect(help.split('\n').filter((line) => line.length > 80)).toEqual([]);
    const [, examples = ''] = help.split('\nExamples:\n');
    const calls = callsIn(`\`\`\`sh\n${examples}\`\`\``);
    expect(calls.map((call) => `agent ${call.join(' ')} `)).toContainEqual(
      expect.stringContaining(`${name} `),
    );
    expect(calls.flatMap((call) => mistakesOf(call, program))).toEqual([]);
    expect(help).toContain('\nExit codes: 0 ');
  },
);

/** What each published schema is about: `edgefit/facts/1`. */
const published = readdirSync(join(root, 'docs/schemas')).flatMap((file) => {
  const text = readFileSync(join(root, 'docs/schemas', file), 'utf8');
  return [...text.matchAll(/"const": "(edgefit\/[\w-]+\/\d+)"/g)].map(([, name]) => name);
});

test.each(
  leavesOf(program)
    .flatMap((command) => command.options.map((option) => ({ command, option })))
    .filter(({ option }) => option.long === '--json')
    .map(({ command, option }) => [nameOf(command), option.description]),
)('%s --json says which published schema it keeps to', (_, description) => {
  const [schema] = /edgefit\/[\w-]+\/\d+/.exec(description) ?? [];
  expect(published).toContain(schema);
});
