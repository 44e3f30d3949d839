import { Command } from 'commander';
import { ID_PATTERN, ID_RULE } from '../../contracts/ids.ts';
import type { CalibClear } from '../../contracts/recorded.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { writeJson } from '../output.ts';
import { recordedFolder } from './shared.ts';

interface Flags {
  readonly all?: true;
  readonly config?: string;
  readonly json?: true;
}

const EXAMPLES = `
A daemon that is recording goes on with a new set. What was fitted stays.

Examples:
  agent calib clear kws
  agent calib clear --all

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent calib clear`: removes samples for good. */
export function clearCommand({ io }: CliContext): Command {
  return new Command('clear')
    .summary('remove what is kept')
    .description('Removes the samples of a model, or of all, from this device.')
    .argument('[model]', 'name of the model')
    .option('--all', 'the samples of every model')
    .option('--config <file>', 'configuration of the daemon, which names the state folder')
    .option('--json', 'print what was removed as JSON (edgefit/calib-clear/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (model: string | undefined, flags: Flags) => {
      if ((model === undefined) === (flags.all === undefined)) {
        throw new UsageError('name a model, or give --all');
      }
      const removed = await clear(await recordedFolder(flags.config, io.env), model);
      const report: CalibClear = { schema: 'edgefit/calib-clear/1', removed: [...removed] };
      if (flags.json === true) writeJson(io, report);
      else io.stdout.write(`removed: ${removed.length === 0 ? 'nothing' : removed.join(', ')}\n`);
    });
}

async function clear(folder: string, model: string | undefined): Promise<readonly string[]> {
  const { clearRecorded, listRecorded } = await import('../../calibration/recording/list.ts');
  if (model !== undefined && (!ID_PATTERN.test(model) || /^\.+$/.test(model))) {
    throw new UsageError(`${JSON.stringify(model)} cannot name a model: use ${ID_RULE}`);
  }
  const models =
    model === undefined ? (await listRecorded(folder)).sets.map((set) => set.model) : [model];
  const removed: string[] = [];
  for (const one of models) {
    // oxlint-disable-next-line no-await-in-loop -- a handful
    if (await clearRecorded(folder, one)) removed.push(one);
  }
  return removed;
}
