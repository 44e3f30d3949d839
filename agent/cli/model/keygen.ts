import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { writeJson } from '../output.ts';

interface Flags {
  readonly comment?: string;
  readonly passphraseFile?: string;
  readonly json?: true;
}

const EXAMPLES = `
Makes FILE (the key, encrypted with a passphrase) and FILE.pub (its public
half, to hand on). Keep root keys on a stick in a drawer; keep only the online
key on a machine that is always on.

Examples:
  agent model keygen root-1.key --comment "root, Ada"
  EDGEFIT_PASSPHRASE=... agent model keygen online.key

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent model keygen FILE`: a new signing key. */
export function keygenCommand({ io }: CliContext): Command {
  return new Command('keygen')
    .summary('make a signing key, encrypted with a passphrase')
    .description('Makes a signing key (ed25519), encrypted with a passphrase.')
    .argument('<file>', 'where the key goes; its public half goes to FILE.pub')
    .option('--comment <text>', 'whose key it is')
    .option('--passphrase-file <file>', 'file that holds the passphrase')
    .option('--json', 'print the public half as JSON (edgefit/key/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, flags: Flags) => {
      const { makeKeyFile, publicPart } = await import('../../deploy/key-file.ts');
      const { newPassphrase } = await import('./passphrase.ts');
      const { refuseExisting, writeSecret } = await import('../../deploy/secret-file.ts');
      for (const path of [file, `${file}.pub`]) await refuseExisting(path);
      const key = await makeKeyFile(await newPassphrase(flags.passphraseFile, io), flags.comment);
      const half = publicPart(key);
      await writeSecret(file, `${JSON.stringify(key, null, 2)}\n`);
      await writeSecret(`${file}.pub`, `${JSON.stringify(half, null, 2)}\n`, 0o644);
      if (flags.json === true) writeJson(io, half);
      else
        io.stdout.write(`key ${key.keyId.slice(0, 12)} in ${file}, public half in ${file}.pub\n`);
    });
}
