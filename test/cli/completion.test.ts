import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Command, Option } from 'commander';
import { bashCompletion } from '../../agent/cli/completion/bash.ts';
import { fishCompletion } from '../../agent/cli/completion/fish.ts';
import { commandTree } from '../../agent/cli/completion/tree.ts';
import { zshCompletion } from '../../agent/cli/completion/zsh.ts';
import { testIf } from '../support/available.ts';
import { run } from './support.ts';

/** A program with commands in commands, names that recur, and text that shells could misread. */
function program(): Command {
  const config = new Command('config')
    .description('about it')
    .addCommand(new Command('check').argument('[file]', 'a file').option('--strict', 'do not bend'))
    .addCommand(new Command('show').option('--as <form>', 'it\'s [odd]: $HOME `date` \\ "x"'));
  const bench = new Command('bench')
    .argument('[model]', 'a file')
    .addOption(new Option('--speed <how>', 'how').choices(['slow', 'fast', '$(bad)']))
    .option('-o, --output <file>', 'where to');
  return new Command('agent').addCommand(config).addCommand(bench);
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-completion-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What bash offers at the end of these words, the last of which is being typed. */
function offered(words: readonly string[]): string[] {
  const script = join(folder, 'completion.bash');
  writeFileSync(script, bashCompletion(commandTree(program()), ['agent', 'edgefit']));
  const ask =
    'set -u; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _edgefit; ' +
    'printf "%s\\n" "${COMPREPLY[@]-}"';
  const answer = execFileSync('bash', ['-c', ask, 'ask', script, ...words], { encoding: 'utf8' });
  return answer.split('\n').filter((line) => line !== '');
}

describe('the command tree', () => {
  test('has every command, its options and their values', () => {
    const tree = commandTree(program());
    expect(tree.commands.map(({ path }) => path)).toEqual([['config'], ['bench']]);
    expect(tree.commands[0]?.commands.map(({ path }) => path.join(' '))).toEqual([
      'config check',
      'config show',
    ]);
    expect(tree.commands[1]?.options).toEqual([
      { names: ['--speed'], about: 'how', takesValue: true, choices: ['slow', 'fast'] },
      { names: ['-o', '--output'], about: 'where to', takesValue: true, choices: [] },
      {
        names: ['-h', '--help'],
        about: 'display help for command',
        takesValue: false,
        choices: [],
      },
    ]);
  });
});

describe('bash', () => {
  const testBash = testIf('bash');

  testBash.each([
    ['commands', ['agent', ''], ['config', 'bench']],
    ['the beginning of one', ['agent', 'co'], ['config']],
    ['commands of a command', ['agent', 'config', ''], ['check', 'show']],
    ['options', ['agent', 'bench', '--o'], ['--output']],
    ['options after an argument', ['agent', 'bench', 'm.onnx', '--sp'], ['--speed']],
    ['options below', ['agent', 'config', 'check', '--'], ['--strict', '--help']],
    ['values', ['agent', 'bench', '--speed', ''], ['slow', 'fast']],
    ['the beginning of a value', ['agent', 'bench', '--speed', 'f'], ['fast']],
    // Nothing of ours: bash itself then completes file names.
    ['files for a value', ['agent', 'bench', '-o', ''], []],
    ['files for an argument', ['agent', 'bench', ''], []],
  ])('completes %s', (_what, words, expected) => {
    expect(offered(words)).toEqual(expected);
  });
});

describe('zsh and fish', () => {
  testIf('zsh')('zsh accepts the script', () => {
    const script = join(folder, '_edgefit');
    writeFileSync(script, zshCompletion(commandTree(program()), ['agent', 'edgefit']));
    expect(execFileSync('zsh', ['-n', script], { encoding: 'utf8' })).toBe('');
  });

  testIf('fish')('fish completes with the script', () => {
    const script = join(folder, 'agent.fish');
    writeFileSync(script, fishCompletion(commandTree(program()), ['agent', 'edgefit']));
    const ask = (line: string) => {
      const ran = spawnSync(
        'fish',
        ['--no-config', '-c', `source ${script}; complete -C '${line}'`],
        {
          encoding: 'utf8',
          env: { ...process.env, HOME: folder },
        },
      );
      expect(ran.stderr).toBe('');
      return ran.stdout
        .split('\n')
        .map((offer) => offer.split('\t')[0])
        .filter((offer) => offer !== '');
    };
    expect(new Set(ask('agent ').slice(0, 2))).toEqual(new Set(['bench', 'config']));
    expect(new Set(ask('agent config '))).toEqual(new Set(['check', 'show']));
    expect(ask('agent bench --o')).toEqual(['--output']);
    expect(new Set(ask('edgefit bench --speed '))).toEqual(new Set(['fast', 'slow']));
  });

  test('what shells would expand stays text', () => {
    const tree = commandTree(program());
    expect(zshCompletion(tree, ['agent'])).toContain(
      String.raw`'*--as[it'\''s \[odd\]\: $HOME ` + '`date` ' + String.raw`\\ "x"]:value:_files'`,
    );
    expect(fishCompletion(tree, ['agent'])).toContain(
      String.raw`-l as -r -d 'it\'s [odd]: $HOME ` + '`date` ' + String.raw`\\ "x"'`,
    );
  });
});

describe('agent completion', () => {
  test.each(['bash', 'zsh', 'fish'])('%s: every command of the program is there', async (shell) => {
    const { code, out } = await run(['completion', shell]);
    expect(code).toBe(0);
    for (const name of ['probe', 'bench', 'fit', 'quantize', 'inspect', 'doctor', 'run']) {
      expect(out).toMatch(new RegExp(`\\b${name}\\b`));
    }
    expect(out).toContain('min-sqnr');
  });

  test('an unknown shell is refused with the list of known ones', async () => {
    const { code, err } = await run(['completion', 'tcsh']);
    expect(code).toBe(2);
    expect(err).toMatch(/^agent: .*tcsh.*bash, zsh, fish.*\n$/);
  });
});
