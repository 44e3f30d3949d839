import { Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { wholeNumber } from '../parsers.ts';
import { addOne, publicKeys, signingOptions } from './shared.ts';

interface Flags {
  readonly key: readonly string[];
  readonly passphraseFile?: string;
  readonly root: readonly string[];
  readonly rootThreshold: number;
  readonly targets: readonly string[];
  readonly targetsThreshold: number;
  readonly online: readonly string[];
  readonly operator?: readonly string[];
  readonly operatorThreshold: number;
}

const EXAMPLES = `
Who signs what:
  --root      decides whose keys count at all; rarely used, keep it offline
  --targets   releases models
  --online    says daily that nothing has changed (snapshot and timestamp)
  --operator  signs jobs and settings for devices

Examples:
  agent model keygen root.key; agent model keygen online.key; ...
  agent model init repository/ --root root.key.pub --targets release.key.pub \\
    --online online.key.pub --operator ops.key.pub \\
    --key root.key --key release.key --key online.key

Then enrol devices with repository/metadata/1.root.json.

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent model init REPOSITORY`: an empty signed repository. */
export function initCommand({ io }: CliContext): Command {
  const command = new Command('init')
    .summary('make an empty signed repository')
    .description('Makes an empty repository of models, signed as TUF (The Update Framework).')
    .argument('<repository>', 'folder to make')
    .addOption(keyOption('root', 'public root key').makeOptionMandatory())
    .addOption(threshold('root'))
    .addOption(keyOption('targets', 'public key that releases models').makeOptionMandatory())
    .addOption(threshold('targets'))
    .addOption(keyOption('online', 'public key for daily signing').makeOptionMandatory())
    .addOption(keyOption('operator', 'public key that signs jobs'))
    .addOption(threshold('operator'));
  return signingOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, flags: Flags) => {
      const { openKeys } = await import('./passphrase.ts');
      const { createRepository, firstRootFile } = await import('../../deploy/tuf/repository.ts');
      const online = { keys: await publicKeys(flags.online), threshold: 1 };
      const roles = {
        root: { keys: await publicKeys(flags.root), threshold: flags.rootThreshold },
        targets: { keys: await publicKeys(flags.targets), threshold: flags.targetsThreshold },
        snapshot: online,
        timestamp: online,
      };
      const operators = await publicKeys(flags.operator ?? []);
      const documents =
        operators.length === 0 ? null : { keys: operators, threshold: flags.operatorThreshold };
      const options = { folder, keys: await openKeys(flags, io), nowMs: Date.now() };
      await createRepository(options, roles, documents);
      io.stdout.write(`${folder} is a repository; enrol devices with ${firstRootFile(folder)}\n`);
    });
}

function keyOption(name: string, text: string): Option {
  return new Option(`--${name} <file>`, `${text}; several times for several keys`).argParser(
    addOne,
  );
}

function threshold(name: string): Option {
  return new Option(`--${name}-threshold <n>`, `how many ${name} keys have to sign`)
    .argParser(wholeNumber({ min: 1 }))
    .default(1);
}
