import type { Command } from 'commander';
import type { CliContext, Outcome } from './context.ts';

type MakeCommand = (context: CliContext, outcome: Outcome) => Command;

/**
 * Every command by its name, in the order of the help. Each loads its own module: on a small board
 * reading all of them takes longer than most commands have to do.
 */
export const COMMANDS: ReadonlyMap<string, () => Promise<MakeCommand>> = new Map([
  ['probe', async () => (await import('./probe.ts')).probeCommand],
  ['bench', async () => (await import('./bench.ts')).benchCommand],
  ['fit', async () => (await import('./fit.ts')).fitCommand],
  ['quantize', async () => (await import('./quantize.ts')).quantizeCommand],
  ['inspect', async () => (await import('./inspect.ts')).inspectCommand],
  ['doctor', async () => (await import('./doctor.ts')).doctorCommand],
  ['run', async () => (await import('./run.ts')).runCommand],
  ['calib', async () => (await import('./calib.ts')).calibCommand],
  ['enrol', async () => (await import('./enrol.ts')).enrolCommand],
  ['config', async () => (await import('./config.ts')).configCommand],
  ['model', async () => (await import('./model.ts')).modelCommand],
  ['fleet', async () => (await import('./fleet.ts')).fleetCommand],
  ['dashboard', async () => (await import('./dashboard.ts')).dashboardCommand],
  ['completion', async () => (await import('./completion.ts')).completionCommand],
]);

/** They describe all the others. */
const NEED_ALL: readonly string[] = ['completion'];

/**
 * The commands to load for a command line: the one that it calls. Undefined where every name is needed:
 * for help, for suggestions, for what is no command at all.
 */
export function commandsFor([name = '']: readonly string[]): readonly string[] | undefined {
  return COMMANDS.has(name) && !NEED_ALL.includes(name) ? [name] : undefined;
}
