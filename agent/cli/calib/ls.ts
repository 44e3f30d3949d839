import { Command } from 'commander';
import type { CalibList } from '../../contracts/recorded.ts';
import { bytesText } from '../../fit/report/words.ts';
import type { CliContext } from '../context.ts';
import { writeJson } from '../output.ts';
import { recordedFolder } from './shared.ts';

interface Flags {
  readonly config?: string;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  agent calib ls
  agent calib ls --json

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent calib ls`: of which models there are samples, and how many. */
export function lsCommand({ io }: CliContext): Command {
  return new Command('ls')
    .summary('list what is kept')
    .description('Lists the models of which samples are kept on this device.')
    .option('--config <file>', 'configuration of the daemon, which names the state folder')
    .option('--json', 'print it as JSON (edgefit/calib-ls/1)')
    .addHelpText('after', EXAMPLES)
    .action(async ({ config, json }: Flags) => {
      const { listRecorded } = await import('../../calibration/recording/list.ts');
      const list = await listRecorded(await recordedFolder(config, io.env));
      if (json === true) writeJson(io, list);
      else io.stdout.write(render(list));
    });
}

function render({ sets, folder }: CalibList): string {
  if (sets.length === 0) return `nothing is recorded in ${folder}\n`;
  const lines = sets.map(
    ({ model, samples, bytes, seen, since }) =>
      `${model}: ${samples} samples, ${bytesText(bytes)}, of ${seen} seen since ${since}`,
  );
  return `${lines.join('\n')}\n`;
}
