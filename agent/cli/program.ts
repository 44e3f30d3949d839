import { Command, CommanderError } from 'commander';
import { benchCommand } from './bench.ts';
import { configCommand } from './config.ts';
import type { CliContext, Outcome } from './context.ts';
import { doctorCommand } from './doctor.ts';
import { enrolCommand } from './enrol.ts';
import { EXIT, exitCodeOf, explain, type ExitCode } from './errors.ts';
import { fitCommand } from './fit.ts';
import { fleetCommand } from './fleet.ts';
import { inspectCommand } from './inspect.ts';
import { modelCommand } from './model.ts';
import { MIN_WIDTH } from './output.ts';
import { probeCommand } from './probe.ts';
import { quantizeCommand } from './quantize.ts';
import { runCommand } from './run.ts';

const EXAMPLES = `
Examples:
  agent probe                                what this machine is
  agent bench                                what this machine can do
  agent fit package.json -o fitted/          keep the best version of a model
  agent quantize model.onnx --to fp16 -o small.onnx
  agent inspect model.onnx small.onnx --samples data.npz
  agent doctor                               what is missing here

Results go to stdout, everything else to stderr. Every command has --help.`;

/** Runs one command line (without node and script) and returns the exit code. Never throws. */
export async function runCli(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const outcome: Outcome = { code: EXIT.done };
  try {
    const program = buildProgram(context, outcome);
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

function buildProgram(context: CliContext, outcome: Outcome): Command {
  const program = new Command('agent')
    .description('Fits a trained model to the edge device it will run on.')
    .version(context.version)
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError(true);
  const commands = [
    probeCommand(context),
    benchCommand(context, outcome),
    fitCommand(context, outcome),
    quantizeCommand(context),
    inspectCommand(context),
    doctorCommand(context, outcome),
    runCommand(context, outcome),
    enrolCommand(context),
    configCommand(context, outcome),
    modelCommand(context),
    fleetCommand(context),
  ];
  for (const command of commands) program.addCommand(command);
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
