import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, messageOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';
import { readNamedFile } from '../../util/read.ts';
import { AccessError } from './error.ts';
import { replaceBrokerFile } from './replace-file.ts';

const run = promisify(execFile);

/** The list of withdrawn certificates of a CA, made with the openssl command. */
export interface CrlFiles {
  /** The list, PEM; made where it is not there yet. */
  readonly crl: string;
  readonly caCert: string;
  readonly caKey: string;
}

export interface CrlChange {
  /** A file with the certificate that is withdrawn. */
  readonly withdraw?: string | undefined;
  /** One that is good again. */
  readonly restore?: string | undefined;
}

interface Withdrawn {
  readonly serial: string;
  /** As openssl writes it: YYMMDDHHMMSSZ. */
  readonly date: string;
}

/** A broker refuses everybody when its list is out of date: it has to outlive the certificates. */
const DAYS = 3650;
const PASSPHRASE = 'EDGEFIT_CA_PASSPHRASE';

const CONFIG = `[ca]
default_ca = list
[list]
database = index.txt
crlnumber = number
default_md = default
default_crl_days = ${DAYS}
`;

/**
 * Writes a list with what it held before and this change, in one step. Without a change it makes an
 * empty one, or one that is valid for longer. Throws FileError, and AccessError (CRL) where openssl or
 * one of the files will not do.
 */
export async function changeCrl(files: CrlFiles, change: CrlChange, now: Date): Promise<void> {
  const before = await readCrl(files.crl);
  const good = change.restore === undefined ? null : await serialOf(change.restore, files.caCert);
  const bad = change.withdraw === undefined ? null : await serialOf(change.withdraw, files.caCert);
  const kept = before.withdrawn.filter(({ serial }) => serial !== good && serial !== bad);
  const added = bad === null ? [] : [{ serial: bad, date: dateOf(now) }];
  const text = await makeCrl(files, [...kept, ...added], before.number + 1n);
  await replaceBrokerFile(files.crl, text);
}

/** Of a certificate that this CA has issued: another one has numbers of its own. */
async function serialOf(path: string, caCert: string): Promise<string> {
  const [certificate, ca] = await Promise.all([path, caCert].map(readCertificate));
  if (certificate === undefined || ca === undefined || !certificate.verify(ca.publicKey)) {
    throw new AccessError('CRL', `${path} was not issued by ${caCert}: give the CA that did`);
  }
  return certificate.serialNumber;
}

async function readCertificate(path: string): Promise<X509Certificate> {
  const text = await readNamedFile(path);
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new AccessError('CRL', `${path} holds no certificate`, error);
  }
}

async function readCrl(path: string) {
  const isThere = await stat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false;
      throw fileError('read', path, error);
    },
  );
  if (!isThere) return { number: 0n, withdrawn: [] };
  const text = await openssl(['crl', '-in', resolve(path), '-noout', '-text'], tmpdir());
  const number = /CRL Number:\s*(?:0x)?([0-9A-F]+)/i.exec(text)?.[1] ?? '0';
  const withdrawn = [
    ...text.matchAll(/Serial Number: ([0-9A-F]+)\s+Revocation Date: ([^\n]+)/g),
  ].map(([, serial = '', date = '']) => ({ serial, date: dateOf(new Date(date)) }));
  return { number: BigInt(number), withdrawn };
}

function dateOf(date: Date): string {
  return `${date.toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)}Z`;
}

async function makeCrl(
  { caCert, caKey }: CrlFiles,
  withdrawn: readonly Withdrawn[],
  number: bigint,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-crl-'));
  try {
    // Type, expiry (of no importance here), date, number, file, name.
    const rows = withdrawn.map(
      ({ serial, date }) => `R\t491231235959Z\t${date}\t${serial}\tunknown\t/CN=withdrawn\n`,
    );
    const hex = number.toString(16);
    await writeFile(join(folder, 'list.cnf'), CONFIG);
    await writeFile(join(folder, 'index.txt'), rows.join(''));
    await writeFile(join(folder, 'index.txt.attr'), 'unique_subject = no\n');
    await writeFile(join(folder, 'number'), `${hex.length % 2 === 0 ? hex : `0${hex}`}\n`);
    const ca = ['-cert', resolve(caCert), '-keyfile', resolve(caKey)];
    // It must not ask on the terminal.
    const word = process.env[PASSPHRASE] === undefined ? 'pass:' : `env:${PASSPHRASE}`;
    const how = ['-config', 'list.cnf', '-batch', '-passin', word, '-out', 'crl.pem'];
    await openssl(['ca', '-gencrl', ...ca, ...how], folder);
    return await readFile(join(folder, 'crl.pem'), 'utf8');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function openssl(args: readonly string[], cwd: string): Promise<string> {
  try {
    return (await run('openssl', [...args], { cwd })).stdout;
  } catch (error) {
    const text =
      codeOf(error) === 'ENOENT'
        ? 'openssl is not there: apt install openssl'
        : `openssl ${args[0]}: ${lastLine(error)} (${PASSPHRASE} opens an encrypted key)`;
    throw new AccessError('CRL', text, error);
  }
}

function lastLine(error: unknown): string {
  const stderr =
    typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr) : '';
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => /unable|error|bad/i.test(line)) ?? lines.at(-1) ?? messageOf(error);
}
