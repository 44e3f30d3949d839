import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { Revocation } from '../../contracts/revocation.ts';
import { fileError, makeFolder } from '../../util/files.ts';
import { readNamedText } from '../../util/read.ts';
import { UsageError } from '../errors.ts';
import type { Io } from '../output.ts';

/** What `revoke` and `replace` share: the operator's list, and the files of the broker. */

export interface ListFlags {
  readonly list?: string;
}

export interface AccessFlags extends ListFlags {
  readonly acl?: string;
  readonly passwordFile?: string;
  readonly reload?: string;
  readonly crl?: string;
  readonly certificate?: string;
  readonly caCert?: string;
  readonly caKey?: string;
}

export function listOption(command: Command): Command {
  return command.option(
    '--list <file>',
    'where revoked devices are kept (default: fleet/revoked.json in the state folder)',
  );
}

export function accessOptions(command: Command): Command {
  return listOption(command)
    .option('--acl <file>', "the broker's access list, to deny the device in it")
    .option('--password-file <file>', "the broker's passwords, to take the device out of it")
    .option(
      '--crl <file>',
      "the broker's list of withdrawn certificates; made where it is not there",
    )
    .option('--certificate <file>', "with --crl: the device's certificate")
    .option('--ca-cert <file>', 'with --crl: the certificate of the CA that issued it')
    .option('--ca-key <file>', 'with --crl: the key of the CA')
    .option(
      '--reload <command>',
      'makes the broker read them, such as "systemctl reload mosquitto"',
    );
}

export async function listPath({ list }: ListFlags, env: Io['env']): Promise<string> {
  if (list !== undefined) return list;
  const { defaultListPath } = await import('../../fleet/access/revoked-list.ts');
  const { stateFolder } = await import('../../fleet/unsent.ts');
  return defaultListPath(stateFolder(env));
}

/** Where what a revoked device left at the broker is kept. */
export async function archiveFolder(env: Io['env']): Promise<string> {
  const { stateFolder } = await import('../../fleet/unsent.ts');
  return join(stateFolder(env), 'fleet', 'archive');
}

/** Refuses what is no device id before anything is changed. */
export async function checkDeviceId(id: string): Promise<void> {
  const { isId } = await import('../../fleet/protocol/topics.ts');
  const { ID_RULE } = await import('../../contracts/ids.ts');
  if (!isId(id)) throw new UsageError(`${JSON.stringify(id)} is no device id: use ${ID_RULE}`);
}

/** Which certificate is put on which list, or taken off; null: none. Throws UsageError. */
function crlOf({ crl, certificate, caCert, caKey }: AccessFlags) {
  if (crl === undefined) return null;
  if (certificate === undefined || caCert === undefined || caKey === undefined) {
    throw new UsageError('--crl needs --certificate, --ca-cert and --ca-key');
  }
  return { files: { crl, caCert, caKey }, certificate };
}

async function editFile(path: string, edit: (text: string) => string): Promise<void> {
  const text = await readNamedText(path);
  const edited = edit(text);
  if (edited === text) return;
  const { replaceBrokerFile } = await import('../../fleet/access/replace-file.ts');
  await replaceBrokerFile(path, edited);
}

/** Changes the list, and the files of the broker with it, while nobody else does. */
export async function changeAccess(
  flags: AccessFlags,
  env: Io['env'],
  edit: (list: string) => Promise<readonly Revocation[]>,
  who: Omit<AccessChange, 'devices'>,
): Promise<readonly string[]> {
  const { exclusively } = await import('../../fleet/access/exclusive.ts');
  const list = await listPath(flags, env);
  const withdrawal = crlOf(flags);
  const files = [flags.acl, flags.passwordFile].filter((path) => path !== undefined);
  // A mistyped path is told before anything is changed.
  await Promise.all(files.map((path) => readNamedText(path)));
  const more = withdrawal === null ? [] : [withdrawal.files.crl];
  await makeFolder(dirname(list)).catch((error: unknown) => {
    throw fileError('write', list, error);
  });
  return exclusively([list, ...files, ...more], async () => {
    // What can fail for a mistyped path comes before what is counted on.
    if (withdrawal !== null) {
      const { changeCrl } = await import('../../fleet/access/crl.ts');
      const { files: crl, certificate } = withdrawal;
      const change = who.letIn === undefined ? 'withdraw' : 'restore';
      await changeCrl(crl, { [change]: certificate }, new Date());
    }
    return applyAccess(flags, { devices: await edit(list), ...who });
  });
}

interface AccessChange {
  /** The operator's own list, as it is now. */
  readonly devices: readonly Revocation[];
  readonly shutOut?: string;
  readonly letIn?: string;
}

/**
 * Brings the files of the broker in line with the list and makes it read them. Whom another operator,
 * who keeps a list of his own, has shut out stays out. Returns what somebody still has to do. Throws
 * FileError, and AccessError, also when the reload fails.
 */
async function applyAccess(
  flags: AccessFlags,
  { devices, shutOut, letIn }: AccessChange,
): Promise<readonly string[]> {
  const { revokedIn, withRevoked, withoutPassword } = await import('../../fleet/access/acl.ts');
  const listed = devices.map(({ deviceId }) => deviceId);
  const { acl, passwordFile, reload } = flags;
  if (acl !== undefined) {
    await editFile(acl, (text) => {
      const before = revokedIn(text).filter((id) => id !== letIn);
      return withRevoked(text, [...before, ...listed]);
    });
  }
  if (passwordFile !== undefined && shutOut !== undefined) {
    await editFile(passwordFile, (text) => withoutPassword(text, shutOut));
  }
  if (reload !== undefined) await runReload(reload);
  const todo: string[] = [];
  if (acl === undefined) todo.push('put agent fleet acl into the access list of the broker');
  if (reload === undefined) todo.push('make the broker read it: systemctl reload mosquitto');
  return todo;
}

async function runReload(command: string): Promise<void> {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code]: unknown[] = await once(child, 'close');
  if (code === 0) return;
  const { AccessError } = await import('../../fleet/access/error.ts');
  throw new AccessError('RELOAD', `--reload: ${command} ended with ${String(code)}`);
}
