import { Command, Option } from 'commander';
import type { DeviceRow } from '../../fleet/roster/row.ts';
import { deferred } from '../../util/deferred.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { wantsColor, widthOf, writeJson } from '../output.ts';
import { onQuitKey, openScreen, sizeOf } from '../screen.ts';
import { fleetSummary, fleetTable, SORT_KEYS, sortRows, type SortKey } from './columns.ts';
import { selectorOf, whereOption, withFleet, type OpenFleet, type WhereFlags } from './fleet.ts';
import { OPERATOR_HELP, operatorOptions, type BrokerFlags } from './operator.ts';

interface Flags extends BrokerFlags, WhereFlags {
  readonly sort: SortKey;
  readonly reverse?: true;
  readonly watch?: true;
  readonly once?: true;
  readonly json?: true;
}

const HELP = `
On a terminal the table stays and is kept up to date until q is typed;
elsewhere, and with --once, it is printed once. 'silent' is a device that says
it is online and has not been heard for three minutes, 'cloned' an id that two
machines go by.
${OPERATOR_HELP}

Examples:
  agent fleet ls --where 'class=rpi-5 and not state=online'
  agent fleet ls --sort p90 --reverse --once

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** Drawn at most so often: devices report all the time. */
const REDRAW_MS = 1000;

/** `agent fleet ls`. */
export function fleetListCommand(context: CliContext): Command {
  const { io } = context;
  const command = new Command('ls')
    .summary('the devices of the fleet')
    .description('Lists the devices of the fleet.')
    .addOption(new Option('--sort <key>', 'by what').choices(SORT_KEYS).default('device'))
    .option('--reverse', 'the other way round')
    .option('--watch', 'keep the table up to date (default on a terminal)')
    .option('--once', 'print it once')
    .option('--json', 'print them once as JSON (edgefit/fleet/1)');
  return operatorOptions(whereOption(command))
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      if (flags.watch === true && (flags.once === true || flags.json === true)) {
        throw new UsageError('--watch goes with neither --once nor --json');
      }
      if (flags.watch === true && io.stdout.isTTY !== true) {
        throw new UsageError('--watch needs a terminal: agent fleet watch prints lines elsewhere');
      }
      const selects = await selectorOf(flags);
      const isLive = flags.once !== true && flags.json !== true && io.stdout.isTTY === true;
      if (isLive) await watchTable(flags, selects, context);
      else await printOnce(flags, selects, context);
    });
}

type Selects = (row: DeviceRow) => boolean;

function chosen({ link }: OpenFleet, selects: Selects, flags: Flags): readonly DeviceRow[] {
  const rows = [...link.roster.rows()].filter(selects);
  return sortRows(rows, flags.sort, flags.reverse === true);
}

async function printOnce(flags: Flags, selects: Selects, context: CliContext): Promise<void> {
  const { io } = context;
  await withFleet(flags, context, {}, async (fleet) => {
    const rows = chosen(fleet, selects, flags);
    const complete = fleet.link.complete();
    if (flags.json === true) {
      writeJson(io, { schema: 'edgefit/fleet/1', complete, devices: rows });
      return;
    }
    const width = widthOf(io.stdout, io.env);
    const options = { width, color: wantsColor(io.stdout, io.env), nowMs: Date.now() };
    io.stdout.write(`${fleetTable(rows, options).join('\n')}\n`);
    io.stderr.write(
      `${fleetSummary(rows)}${complete ? '' : ', and more that could not be read'}\n`,
    );
  });
}

async function watchTable(flags: Flags, selects: Selects, context: CliContext): Promise<void> {
  const { io } = context;
  await withFleet(flags, context, {}, async (fleet) => {
    const draw = (): readonly string[] => {
      const rows = chosen(fleet, selects, flags);
      const { width } = sizeOf(io.stdout);
      const options = { width, color: wantsColor(io.stdout, io.env), nowMs: Date.now() };
      const link = fleet.connected() ? '' : ' (the broker is lost: trying again)';
      return [`${fleetSummary(rows)}${link}; q leaves`, '', ...fleetTable(rows, options)];
    };
    await redrawUntilQuit(draw, REDRAW_MS, context);
  });
}

/** Draws now and then on the whole terminal until somebody leaves, or nobody reads it any more. */
export async function redrawUntilQuit(
  draw: () => readonly string[],
  everyMs: number,
  { io, signal }: CliContext,
): Promise<void> {
  const quit = deferred<undefined>();
  const leave = () => quit.resolve(undefined);
  const redraw = () => screen.draw(draw());
  const screen = openScreen(io.stdout, { isFull: true, onResize: redraw });
  const timer = setInterval(redraw, everyMs);
  // Where keys are not read, Ctrl-C is a signal.
  const stopKeys = onQuitKey(leave);
  signal.addEventListener('abort', leave, { once: true });
  io.stdout.on?.('error', leave);
  if (signal.aborted) leave();
  try {
    redraw();
    await quit.promise;
  } finally {
    clearInterval(timer);
    stopKeys();
    signal.removeEventListener('abort', leave);
    io.stdout.off?.('error', leave);
    screen.close();
  }
}
