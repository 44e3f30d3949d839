import { Command, InvalidArgumentError, Option } from 'commander';
import type { RoleKeys, RoleName } from '../../deploy/tuf/authority.ts';
import type { RepositoryOptions } from '../../deploy/tuf/repository.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { wholeNumber } from '../parsers.ts';
import { addOne, keptRoot, publicKeys, repositorySigningOptions } from './shared.ts';

interface Flags {
  readonly key: readonly string[];
  readonly passphraseFile?: string;
  readonly root?: string;
  readonly operator?: readonly string[];
  readonly operatorThreshold: number;
  readonly rotate?: readonly Rotation[];
}

/** `root=a.pub,b.pub:2`: the new keys of a role, and how many of them have to sign. */
interface Rotation {
  readonly role: 'root' | 'targets' | 'online';
  readonly files: readonly string[];
  readonly threshold: number;
}

const EXAMPLES = `
Without more it signs the timestamp anew, so that it does not expire: let a
timer do it daily with the online key. A device refuses metadata that has
expired.

Examples:
  agent model sign repository/ --key online.key              daily
  agent model sign repository/ --operator ops.key.pub --operator new.key.pub \\
    --key release.key --key online.key                       who may sign jobs
  agent model sign repository/ --rotate online=new.key.pub \\
    --key root.key --key release.key --key new.key           a key was lost
  agent model sign repository/ --rotate root=a.pub,b.pub,c.pub:2 ...

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent model sign REPOSITORY`: sign anew, change who may sign, replace keys. */
export function signCommand({ io }: CliContext): Command {
  const command = new Command('sign')
    .summary('sign a repository anew, change who may sign, or replace keys')
    .description('Signs a repository anew; changes who may sign what.')
    .argument('<repository>', 'its folder')
    .addOption(
      new Option(
        '--operator <file>',
        'public key that may sign jobs, instead of those before; several times for several',
      ).argParser(addOne),
    )
    .addOption(
      new Option('--operator-threshold <n>', 'how many operator keys have to sign')
        .argParser(wholeNumber({ min: 1 }))
        .default(1),
    )
    .addOption(
      new Option(
        '--rotate <role=files>',
        'new public keys of root, targets or online, e.g. root=a.pub,b.pub:2',
      ).argParser(addRotation),
    );
  return repositorySigningOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, flags: Flags) => {
      if (flags.operator !== undefined && flags.rotate !== undefined) {
        throw new UsageError('--operator and --rotate are two steps: give one at a time');
      }
      const { openKeys } = await import('./passphrase.ts');
      const { readRepository } = await import('../../deploy/tuf/repository.ts');
      const { withLock } = await import('../../deploy/tuf/lock.ts');
      const firstRoot = await keptRoot(flags.root);
      await readRepository(folder, firstRoot);
      const keys = await openKeys(flags, io);
      const options = { folder, firstRoot, keys, nowMs: Date.now() };
      io.stdout.write(`${await withLock(folder, () => apply(options, flags))}\n`);
    });
}

async function apply(options: RepositoryOptions, flags: Flags): Promise<string> {
  const { changeTargets, refreshTimestamp, rotateKeys } =
    await import('../../deploy/tuf/repository.ts');
  if (flags.rotate !== undefined) {
    await rotateKeys(options, await rolesFrom(flags.rotate));
    return `new keys of ${flags.rotate.map(({ role }) => role).join(', ')} are signed`;
  }
  if (flags.operator !== undefined) {
    const keys = await publicKeys(flags.operator);
    await changeTargets(options, { documents: { keys, threshold: flags.operatorThreshold } });
    return `${keys.length} keys may sign jobs from now on`;
  }
  await refreshTimestamp(options);
  return 'the timestamp is signed anew';
}

async function rolesFrom(
  rotations: readonly Rotation[],
): Promise<Partial<Record<RoleName, RoleKeys>>> {
  const roles: Partial<Record<RoleName, RoleKeys>> = {};
  for (const { role, files, threshold } of rotations) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    const keys = { keys: await publicKeys(files), threshold };
    for (const name of role === 'online' ? (['snapshot', 'timestamp'] as const) : [role]) {
      roles[name] = keys;
    }
  }
  return roles;
}

const ROTATION = /^(root|targets|online)=([^:]+)(?::(\d+))?$/;

function addRotation(text: string, before: readonly Rotation[] = []): readonly Rotation[] {
  const [, role, files, threshold = '1'] = ROTATION.exec(text) ?? [];
  if (files === undefined || (role !== 'root' && role !== 'targets' && role !== 'online')) {
    throw new InvalidArgumentError('Use ROLE=FILE,FILE:THRESHOLD, ROLE of root, targets, online.');
  }
  return [...before, { role, files: files.split(','), threshold: Number(threshold) }];
}
