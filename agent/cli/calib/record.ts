import { Command } from 'commander';
import type { CalibRecord } from '../../contracts/recorded.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { writeJson } from '../output.ts';
import { wholeNumber } from '../parsers.ts';
import { socketOf } from './shared.ts';

interface Flags {
  readonly command?: string;
  readonly limit?: number;
  readonly socket?: string;
  readonly config?: string;
  readonly json?: true;
}

const EXAMPLES = `
Samples are what the application gives the model: arrays with one row a sample
(.npz with an array per input, or .npy), a folder of them, or pictures where the
model takes pictures. "-" reads .npz or .npy from standard input. --command runs
a program of yours that writes .npy records, such as one that reads a camera.

The daemon must be running with calibration.record: true, and the model be
installed. It keeps a uniform choice of all samples within its limits; they
never leave the device. A deployment uses them when its policy says
"calibration": "recorded".

Examples:
  agent calib record kws sample.npz
  capture | agent calib record kws -
  agent calib record kws --command 'python3 camera.py' --limit 100

Exit codes: 0 handed over, 1 failed, 2 bad usage, or a sample was refused.`;

/** `agent calib record MODEL [SAMPLES]`: hands samples to the daemon. */
export function recordCommand({ io, signal }: CliContext): Command {
  return new Command('record')
    .summary('hand samples to the daemon, which keeps some of them')
    .description('Hands samples to the daemon, which keeps a bounded, uniform choice of them.')
    .argument('<model>', 'name of an installed model')
    .argument('[samples]', 'file or folder; "-" for standard input')
    .option('--command <cmd>', 'a shell command that captures samples on this device')
    .option('--limit <n>', 'hand over so many at most', wholeNumber({ min: 1, max: 1_000_000_000 }))
    .option('--socket <path>', "socket of the daemon (default: the configuration's)")
    .option('--config <file>', 'configuration of the daemon, which names its folders')
    .option('--json', 'print what became of them as JSON (edgefit/calib-record/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (model: string, samples: string | undefined, flags: Flags) => {
      if ((samples === undefined) === (flags.command === undefined)) {
        throw new UsageError('give either samples or --command');
      }
      const { handOver } = await import('../../calibration/recording/hand-over.ts');
      const report = await handOver({
        model,
        ...(flags.command === undefined ? { path: samples ?? '-' } : { command: flags.command }),
        limit: flags.limit,
        socket: flags.socket ?? (await socketOf(flags.config, io.env)),
        signal,
      });
      if (flags.json === true) writeJson(io, report);
      else io.stdout.write(render(report));
    });
}

function render({ model, offered, kept, seen, held }: CalibRecord): string {
  return `${model}: ${offered} handed over, ${kept} kept; ${held} are held of ${seen} seen\n`;
}
