import { Argument, Command } from 'commander';
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { commandTree } from './completion/tree.ts';
import { zshCompletion } from './completion/zsh.ts';
import type { CliContext } from './context.ts';

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
/** The program is installed under both. */
const NAMES = ['agent', 'edgefit'];

const EXAMPLES = `
The Debian package installs all three.

Examples:
  agent completion bash > ~/.local/share/bash-completion/completions/agent
  agent completion zsh > ~/.zfunc/_edgefit          a folder of fpath
  agent completion fish > ~/.config/fish/completions/agent.fish

Exit codes: 0 done, 2 bad usage.`;

/** `agent completion SHELL`: what makes a shell complete commands and options. */
export function completionCommand({ io }: CliContext): Command {
  return new Command('completion')
    .summary('print what makes a shell complete commands and options')
    .description('Prints what makes a shell complete the commands and options of this program.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(SHELLS)))
    .addHelpText('after', EXAMPLES)
    .action((shell: keyof typeof SHELLS, _flags: unknown, command: Command) => {
      io.stdout.write(completionFor(shell, command.parent ?? command));
    });
}

export function completionFor(shell: keyof typeof SHELLS, program: Command): string {
  return SHELLS[shell](commandTree(program), NAMES);
}
