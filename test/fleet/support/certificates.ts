import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether the openssl command is there to make certificates with. */
export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    // Not installed: the caller skips its tests.
    return false;
  }
}

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe', timeout: 20_000 });
}

/** A certificate authority of its own, as files in `folder`. */
export function makeCa(folder: string, name: string): CertificateFiles {
  const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  const subject = ['-subj', `/CN=${name}`, '-days', '2'];
  openssl(['req', '-x509', ...EC_KEY, '-keyout', files.key, '-out', files.cert, ...subject]);
  return files;
}

/** A certificate from `ca`; `altNames` such as `DNS:localhost`; negative `days` have passed. */
export function makeCertificate(
  folder: string,
  ca: CertificateFiles,
  name: string,
  altNames: string,
  days = 2,
): CertificateFiles {
  const path = (ending: string) => join(folder, `${name}.${ending}`);
  const files = { cert: path('pem'), key: path('key') };
  const extensions = path('ext');
  writeFileSync(extensions, `subjectAltName=${altNames}\n`);
  openssl(['req', ...EC_KEY, '-keyout', files.key, '-out', path('csr'), '-subj', `/CN=${name}`]);
  const issuer = ['-CA', ca.cert, '-CAkey', ca.key, '-CAcreateserial', '-days', String(days)];
  openssl([
    'x509',
    '-req',
    '-in',
    path('csr'),
    ...issuer,
    '-extfile',
    extensions,
    '-out',
    files.cert,
  ]);
  return files;
}
