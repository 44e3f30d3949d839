import { describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { buildProgram } from '../../../agent/cli/program.ts';
import { mqttReporting } from '../../../agent/cli/reporting.ts';
import { manPage, text } from '../../../scripts/deb/man-page.js';

const FACTS = { version: '1.2.3', date: '2026-11-26' };

function realProgram(): Promise<Command> {
  const io = { stdout: { write: () => true }, stderr: { write: () => true }, env: {} };
  return buildProgram(
    {
      io,
      version: '1.2.3',
      signal: new AbortController().signal,
      loadFit: () => Promise.reject(new Error('not here')),
      demo: { onnx: '', tflite: '', runtimesHere: async () => [] },
      reporting: mqttReporting(io, '1.2.3'),
    },
    { code: 0 },
  );
}

/** Every command with all below it, as commander lists them in its help. */
function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function fullName(command: Command): string {
  const { parent } = command;
  return parent === null ? command.name() : `${fullName(parent)} ${command.name()}`;
}

test('every command and every option of the program is in the page', async () => {
  const program = await realProgram();
  const page = manPage(program, FACTS);
  const commands = everyCommand(program);
  expect(commands.length).toBeGreaterThan(7);
  for (const command of commands.slice(1)) {
    expect(page).toContain(`.SS "${fullName(command)} `);
    for (const { long } of command.options) expect(page).toContain(long?.replaceAll('-', '\\-'));
  }
  expect(page).toContain('\\-\\-mqtt\\-password\\-file');
});

test('examples below the help are taken along, once', async () => {
  const page = manPage(await realProgram(), FACTS);
  expect(page.split('agent probe \\-\\-json > facts.json')).toHaveLength(2);
});

test('commands of commands are named in full', () => {
  const below = new Command('check').description('Checks it.');
  const page = manPage(
    new Command('agent').description('It.').addCommand(new Command('config').addCommand(below)),
    FACTS,
  );
  expect(page).toContain('.SS "agent config check [options]"\nChecks it.\n');
});

describe('text of troff', () => {
  test.each([
    ['--json', '\\-\\-json'],
    ['.npy', '\\&.npy'],
    ["'x'", "\\&'x'"],
    ['a\\b', 'a\\eb'],
    ['say "x"', 'say \\(dqx\\(dq'],
  ])('%s', (plain, expected) => {
    expect(text(plain)).toBe(expected);
  });
});
