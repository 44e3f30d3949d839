import { Command } from 'commander';
import type { Handover } from '../../fleet/access/replace.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { writeJson, type Io } from '../output.ts';
import {
  OPERATOR_HELP,
  openSigners,
  operatorKeyOptions,
  operatorOptions,
  reasonOption,
  withOperator,
  type BrokerFlags,
  type KeyFlags,
  type Operator,
} from './operator.ts';
import { report, shutOut, type Revoked } from './revoke.ts';
import { accessOptions, archiveFolder, checkDeviceId, type AccessFlags } from './revoked.ts';

interface Flags extends BrokerFlags, KeyFlags, AccessFlags {
  readonly reason?: string;
  readonly json?: true;
}

const EXAMPLES = `
NEW gets the settings and tags of the old device, so that the same rollouts
select it, and the old one is shut out as by agent fleet revoke. Without NEW a
new board takes over the name: what the broker keeps of the old board is taken
away, and the new one begins afresh under the same settings.
${OPERATOR_HELP}

Examples:
  agent fleet replace pi-7 pi-31 --key ops.key --acl /etc/mosquitto/acl
  agent fleet replace pi-7 --key ops.key     same name, new board

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

interface Replaced extends Revoked {
  readonly replacedBy: string;
  readonly handedOver: Handover | null;
}

/** `agent fleet replace ID [NEW]`: another board takes the place of a device. */
export function fleetReplaceCommand(context: CliContext): Command {
  const command = new Command('replace')
    .summary('put another board in the place of a device')
    .description('Puts another board in the place of a device.')
    .argument('<id>', 'the device that goes')
    .argument('[new]', 'the device that comes; the same name when left out')
    .option('--json', 'print what was done as JSON (edgefit/replaced/1)');
  return operatorOptions(accessOptions(operatorKeyOptions(reasonOption(command))))
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, other: string | undefined, flags: Flags) => {
      await checkDeviceId(id);
      await checkDeviceId(other ?? id);
      if (other === id) throw new UsageError('to keep the name, leave NEW out');
      const done = await withOperator(flags, context, (operator) =>
        replace(id, other ?? id, flags, context.io, operator),
      );
      tell(done, flags.json === true, context.io);
    });
}

async function replace(
  id: string,
  next: string,
  flags: Flags,
  io: Io,
  operator: Operator,
): Promise<Replaced> {
  const signers = await openSigners(flags, io);
  const { handOver } = await import('../../fleet/access/replace.ts');
  const handedOver = await handOver(operator.channel, id, next, { signers });
  const shut =
    next === id
      ? await startAfresh(id, io, operator)
      : await shutOut(id, { ...flags, replacedBy: next }, io, operator);
  return { ...shut, replacedBy: next, handedOver };
}

/** The same name goes on: everything of the old board goes but the settings, which were just signed. */
async function startAfresh(id: string, io: Io, operator: Operator): Promise<Revoked> {
  const { channel, broker, timeoutMs } = operator;
  const remove = await import('../../fleet/access/remove.ts');
  const todo: string[] = [];
  const problem = await remove.endSession(broker, id, timeoutMs);
  if (problem !== null) todo.push(`end its session at the broker yourself (${problem})`);
  const removed = await remove.removeRetained(channel, id, await archiveFolder(io.env), {
    keep: (kind) => kind === 'desiredTwin',
  });
  todo.push(
    'give the old board no chance: a new password, or its certificate withdrawn by your CA',
    `on the new board: agent enrol --device-id ${id}`,
  );
  return { deviceId: id, revoked: false, ...removed, todo };
}

function tell(done: Replaced, json: boolean, io: Io): void {
  if (json) {
    writeJson(io, { schema: 'edgefit/replaced/1', ...done });
    return;
  }
  const { deviceId, replacedBy, handedOver } = done;
  const settings = handedOver === null ? 'no settings' : JSON.stringify(handedOver.settings);
  io.stdout.write(`${replacedBy} takes the place of ${deviceId} with ${settings}\n`);
  if (replacedBy !== deviceId) {
    report(done, false, io);
    return;
  }
  if (done.archive !== null) {
    io.stdout.write(`${done.cleared} messages of the old board are now in ${done.archive}\n`);
  }
  for (const one of done.todo) io.stdout.write(`still to do: ${one}\n`);
}
