import { Command } from 'commander';
import type { Revocation } from '../../contracts/revocation.ts';
import type { CliContext } from '../context.ts';
import { writeJson, type Io } from '../output.ts';
import {
  actorOf,
  OPERATOR_HELP,
  operatorOptions,
  reasonOption,
  withOperator,
  type BrokerFlags,
  type Operator,
} from './operator.ts';
import {
  accessOptions,
  archiveFolder,
  changeAccess,
  checkDeviceId,
  type AccessFlags,
} from './revoked.ts';

interface Flags extends BrokerFlags, AccessFlags {
  readonly reason?: string;
  readonly undo?: true;
  readonly json?: true;
}

const EXAMPLES = `
The device is put on a list, denied in the access list, and its password goes.
Then its session is ended, and everything that the broker keeps of it is taken
away, after it is written to fleet/archive in the state folder. With
certificates the denial is what counts; --crl has the broker turn the device
away as well.
${OPERATOR_HELP}

Examples:
  agent fleet revoke pi-7 --reason stolen --acl /etc/mosquitto/acl \\
    --password-file /etc/mosquitto/passwords \\
    --reload 'systemctl reload mosquitto'
  agent fleet revoke pi-7 --acl /etc/mosquitto/acl \\
    --crl /etc/mosquitto/crl.pem --certificate pi-7.pem \\
    --ca-cert ca.pem --ca-key ca.key --reload 'systemctl reload mosquitto'
  agent fleet revoke pi-7 --undo --acl /etc/mosquitto/acl

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

export interface Revoked {
  readonly deviceId: string;
  readonly revoked: boolean;
  readonly cleared: number;
  readonly archive: string | null;
  /** What somebody still has to do. */
  readonly todo: readonly string[];
}

/** `agent fleet revoke ID`: shuts a device out. */
export function fleetRevokeCommand(context: CliContext): Command {
  const { io } = context;
  const command = new Command('revoke')
    .summary('shut a device out')
    .description('Shuts a device out of the fleet; its history is kept.')
    .argument('<id>', 'the device')
    .option('--undo', 'let it in again')
    .option('--json', 'print what was done as JSON (edgefit/revoked/1)');
  return operatorOptions(accessOptions(reasonOption(command)))
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, flags: Flags) => {
      await checkDeviceId(id);
      const done = await withOperator(flags, context, (operator) =>
        flags.undo === true ? letIn(id, flags, io, operator) : shutOut(id, flags, io, operator),
      );
      report(done, flags.json === true, io);
    });
}

export function report(done: Revoked, json: boolean, io: Io): void {
  if (json) {
    writeJson(io, { schema: 'edgefit/revoked/1', ...done });
    return;
  }
  io.stdout.write(`${done.deviceId} is ${done.revoked ? 'shut out' : 'let in again'}\n`);
  if (done.archive !== null) {
    io.stdout.write(`${done.cleared} messages of it are now in ${done.archive}\n`);
  }
  for (const one of done.todo) io.stdout.write(`still to do: ${one}\n`);
}

/** The list first: an access list that is made meanwhile already denies it. */
export async function shutOut(
  deviceId: string,
  flags: AccessFlags & { readonly reason?: string; readonly replacedBy?: string },
  io: Io,
  { channel, broker, timeoutMs }: Operator,
): Promise<Revoked> {
  const { addRevoked } = await import('../../fleet/access/revoked-list.ts');
  const remove = await import('../../fleet/access/remove.ts');
  const entry: Revocation = {
    schema: 'edgefit/revocation/1',
    deviceId,
    ts: new Date().toISOString(),
    reason: flags.reason ?? null,
    actor: actorOf(io) ?? null,
    replacedBy: flags.replacedBy ?? null,
  };
  const add = (list: string) => addRevoked(list, entry);
  const todo = [...(await changeAccess(flags, io.env, add, { shutOut: deviceId }))];
  await remove.publishRevocation(channel, deviceId, entry);
  const problem = await remove.endSession(broker, deviceId, timeoutMs);
  if (problem !== null) todo.push(`end its session at the broker yourself (${problem})`);
  const removed = await remove.removeRetained(channel, deviceId, await archiveFolder(io.env));
  if (todo.length > 0) todo.push(`then the same again, to clear what ${deviceId} says until then`);
  return { deviceId, revoked: true, ...removed, todo };
}

async function letIn(
  deviceId: string,
  flags: AccessFlags,
  io: Io,
  { channel }: Operator,
): Promise<Revoked> {
  const { removeRevoked } = await import('../../fleet/access/revoked-list.ts');
  const { publishRevocation } = await import('../../fleet/access/remove.ts');
  const take = (list: string) => removeRevoked(list, deviceId);
  const todo = await changeAccess(flags, io.env, take, { letIn: deviceId });
  await publishRevocation(channel, deviceId, null);
  return { deviceId, revoked: false, cleared: 0, archive: null, todo };
}
