import { Command, CommanderError } from 'commander';
import { COMMANDS, commandsFor } from './commands.ts';
import type { CliContext, Outcome } from './context.ts';
import { EXIT, UsageError, exitCodeOf, explain, type ExitCode } from './errors.ts';
import { MIN_WIDTH } from './output.ts';

const EXAMPLES = `
Examples:
  agent probe                                what this machine is
  agent bench                                what this machine can do
  agent fit package.json -o fitted/          keep the best version of a model
  agent quantize model.onnx --to fp16 -o small.onnx
  agent inspect model.onnx small.onnx --samples data.npz
  agent model pack package.json -o package/  a model with all a device needs
  agent doctor                               what is missing here

Results go to stdout, everything else to stderr. Every command has --help.`;

/** Runs one command line (without node and script) and returns the exit code. Never throws. */
export async function runCli(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const outcome: Outcome = { code: EXIT.done };
  try {
    const program = await buildProgram(context, outcome, commandsFor(args));
    await program.parseAsync(args, { from: 'user' });
    return outcome.code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.badInput;
    if (context.signal.aborted) {
      context.io.stderr.write('agent: interrupted\n');
      return EXIT.failed;
    }
    context.io.stderr.write(`${explain(error, wantsDebug(args))}\n`);
    return exitCodeOf(error);
  }
}

function wantsDebug(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--debug');
}

/**
 * The command line as data, with the commands that are named, by default all of them: what parses it
 * also makes completions and the manual page.
 */
export async function buildProgram(
  context: CliContext,
  outcome: Outcome,
  names: readonly string[] = [...COMMANDS.keys()],
): Promise<Command> {
  const program = new Command('agent')
    .description('Fits a trained model to the edge device it will run on.')
    .version(context.version)
    .addHelpText('after', EXAMPLES)
    // What stands after a subcommand is meant for it, also where both have such an option.
    .enablePositionalOptions()
    .showSuggestionAfterError(true);
  const commands: Command[] = [];
  for (const name of names) {
    // oxlint-disable-next-line no-await-in-loop -- mostly one; together they are no faster
    const make = await COMMANDS.get(name)?.();
    if (make !== undefined) commands.push(make(context, outcome));
  }
  for (const command of commands) program.addCommand(command);
  program.hook('preAction', (_, command) => refuseEmpty(command));
  for (const command of commands.flatMap(withSubcommands)) {
    if (command.commands.length === 0) command.option('--debug', 'show where an error came from');
  }
  for (const command of withSubcommands(program)) speakOurWay(command, context);
  return program;
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** `agent model publish`, from the program down. */
function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

/** Options that name something; for others an empty text may mean something. */
const NEVER_EMPTY = /<(file|files|dir|folder|path|cmd|command|name|id|url)>/;

/** A variable of a script that was not set: told by the name of the option, before any work. */
function refuseEmpty(command: Command): void {
  const empty = [
    ...command.options
      .filter((option) => NEVER_EMPTY.test(option.flags))
      .filter((option) => command.getOptionValue(option.attributeName()) === '')
      .map(({ flags }) => `option '${flags}'`),
    ...command.registeredArguments
      .filter((_, at) => command.args[at] === '')
      .map((argument) => `argument '${argument.name()}'`),
  ];
  if (empty[0] === undefined) return;
  throw new UsageError(`${empty[0]} is empty; see '${fullName(command)} --help'`);
}

/** Errors on one line with a hint, streams from outside, and no process.exit inside commander. */
function speakOurWay(command: Command, { io }: CliContext): void {
  const name = fullName(command);
  command.exitOverride().configureOutput({
    writeOut: (text) => io.stdout.write(text),
    writeErr: (text) => io.stderr.write(text),
    getOutHelpWidth: () => MIN_WIDTH,
    getErrHelpWidth: () => MIN_WIDTH,
    outputError: (text, write) => {
      const line = text
        .trim()
        .replace(/^error: /, '')
        .replaceAll('\n', ' ')
        .replace(/\.$/, '');
      write(`agent: ${line}; see '${name} --help'\n`);
    },
  });
}
