import { type Command, InvalidArgumentError, Option } from 'commander';
import { readNamedFile, readNamedText } from '../../util/read.ts';

/** One more value of an option that may be given several times. */
export function addOne(text: string, before: readonly string[] = []): readonly string[] {
  if (before.includes(text)) throw new InvalidArgumentError(`"${text}" is given twice.`);
  return [...before, text];
}

/** The options of every command that signs. */
export function signingOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--key <file>', 'key file to sign with; several times for several keys')
        .argParser(addOne)
        .makeOptionMandatory(),
    )
    .option('--passphrase-file <file>', 'file that holds the passphrase of the keys');
}

/** The options of every command that signs the next version of a repository. */
export function repositorySigningOptions(command: Command): Command {
  return signingOptions(command).option(
    '--root <file>',
    'your own copy of 1.root.json: another one in the repository is refused',
  );
}

/** The first root that the signer kept, if one is given. */
export async function keptRoot(path: string | undefined): Promise<Uint8Array | undefined> {
  if (path === undefined) return undefined;
  return readNamedFile(path);
}

/** The public halves in these key files, hexadecimal. */
export async function publicKeys(paths: readonly string[]): Promise<readonly string[]> {
  const { parseKeyFile } = await import('../../deploy/key-file.ts');
  return Promise.all(
    paths.map(async (path) => {
      const text = await readNamedText(path);
      return parseKeyFile(text, path).public;
    }),
  );
}
