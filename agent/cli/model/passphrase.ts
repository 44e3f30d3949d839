import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { TrustError } from '../../deploy/errors.ts';
import { openKey, parseKeyFile, type SigningKey } from '../../deploy/key-file.ts';
import { readNamedText } from '../../util/read.ts';
import type { Io } from '../output.ts';

/** Where a passphrase comes from: a file, the environment, or the person at the terminal. */
export const PASSPHRASE_VARIABLE = 'EDGEFIT_PASSPHRASE';

/** A short passphrase is what a stolen key file is guessed by. */
const MIN_PASSPHRASE = 8;

export interface KeyOptions {
  readonly key: readonly string[];
  readonly passphraseFile?: string | undefined;
}

/** Opens the key files, asking for a passphrase at most once: keys of one person share it. */
export async function openKeys(options: KeyOptions, io: Io): Promise<readonly SigningKey[]> {
  const files = await Promise.all(
    options.key.map(async (path) => ({
      path,
      file: parseKeyFile(await readNamedText(path), path),
    })),
  );
  const passphrase = await readPassphrase(options.passphraseFile, io, 'Passphrase of the keys: ');
  const keys: SigningKey[] = [];
  // oxlint-disable-next-line no-await-in-loop -- each needs 128 MB for a moment
  for (const { path, file } of files) keys.push(await openKey(file, passphrase, path));
  return keys;
}

/** A passphrase for new keys: asked for twice at a terminal. Throws TrustError. */
export async function newPassphrase(file: string | undefined, io: Io): Promise<string> {
  const first = await readPassphrase(file, io, 'New passphrase: ');
  if (first.length < MIN_PASSPHRASE) {
    const message = `the passphrase is too short: use at least ${MIN_PASSPHRASE} characters`;
    throw new TrustError('BAD_PASSPHRASE', message);
  }
  if (isGiven(file, io)) return first;
  if ((await ask('Once more: ')) === first) return first;
  throw new TrustError('BAD_PASSPHRASE', 'the two passphrases differ: nothing was written');
}

function isGiven(file: string | undefined, { env }: Io): boolean {
  return file !== undefined || env[PASSPHRASE_VARIABLE] !== undefined;
}

async function readPassphrase(file: string | undefined, io: Io, question: string): Promise<string> {
  if (file !== undefined) return (await readNamedText(file)).replace(/\r?\n$/, '');
  const given = io.env[PASSPHRASE_VARIABLE];
  if (given !== undefined) return given;
  if (process.stdin.isTTY) return ask(question);
  const message = `no passphrase: give --passphrase-file, set ${PASSPHRASE_VARIABLE}, or use a terminal`;
  throw new TrustError('NO_PASSPHRASE', message);
}

/** Asks on the terminal without showing what is typed. */
export function ask(question: string): Promise<string> {
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  return new Promise((resolve, reject) => {
    reader.once('close', () => {
      reject(new TrustError('NO_PASSPHRASE', 'no passphrase was typed'));
    });
    reader.question('', (answer) => {
      resolve(answer);
      reader.close();
      process.stderr.write('\n');
    });
  });
}
