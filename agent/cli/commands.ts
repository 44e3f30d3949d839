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
  ['model', async () => (await import('./model.ts')).modelCommand],
  ['fleet', async () => (await import('./fleet.ts')).fleetCommand],
]);
