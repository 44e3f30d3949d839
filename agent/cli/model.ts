import { Command } from 'commander';
import type { CliContext } from './context.ts';
import { packCommand } from './model-pack.ts';

const EXAMPLES = `
Examples:
  agent model pack package.json -o face-1.2.0 --package-version 1.2.0`;

/** `agent model ...`: packages of models, for devices. */
export function modelCommand(context: CliContext): Command {
  return new Command('model')
    .summary('model packages for devices')
    .description('Makes packages of models for devices.')
    .addHelpText('after', EXAMPLES)
    .addCommand(packCommand(context));
}
