import { Command } from 'commander';
import type { CliContext } from './context.ts';
import { widthOf, writeJson } from './output.ts';

interface ProbeFlags {
  readonly json?: true;
  readonly root?: string;
}

const EXAMPLES = `
A fact that cannot be read is listed with the reason; nothing is guessed.

Examples:
  agent probe                       a table: the board, its limits, its profile
  agent probe --json > facts.json   the same for programs
  agent probe --root recorded/      another machine, from a copy of its files

EDGEFIT_PROFILES names a folder with profiles of further boards.

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent probe`: what this machine is, and what is worth trying on it. */
export function probeCommand({ io }: CliContext): Command {
  return new Command('probe')
    .summary('show what this machine is and what is worth trying on it')
    .description('Shows what this machine is and which precisions are worth trying on it.')
    .option('--json', 'print the facts as JSON (edgefit/facts/1)')
    .option('--root <folder>', 'read a recorded file tree instead of this machine')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: ProbeFlags) => {
      // Loaded here: they bring the schemas along, and `--help` does without.
      const { probeMachine } = await import('../hardware/probe.ts');
      const { facts, profile } = await probeMachine({ root: flags.root });
      if (flags.json === true) return writeJson(io, facts);
      const { renderFacts } = await import('./probe-table.ts');
      io.stdout.write(renderFacts(facts, profile, widthOf(io.stdout, io.env)));
    });
}
