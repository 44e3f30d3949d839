// @ts-check
// A certificate authority for trying things out, with the openssl command.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finish } from './processes.js';

const DAYS = '365';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** @typedef {{ cert: string, key: string }} Pair */

/**
 * @param {string} folder
 * @returns {Promise<Pair>}
 */
export async function makeCa(folder) {
  const ca = { cert: join(folder, 'ca.pem'), key: join(folder, 'ca.key') };
  const subject = ['-subj', '/CN=quick-start-ca', '-days', DAYS];
  await finish('openssl', [
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    ca.key,
    '-out',
    ca.cert,
    ...subject,
  ]);
  return ca;
}

/**
 * Signs a certificate request, for these names.
 * @param {Pair} ca
 * @param {string} request
 * @param {string} cert where it goes
 * @param {string} names such as DNS:localhost
 */
export async function signRequest(ca, request, cert, names) {
  const extensions = `${cert}.ext`;
  writeFileSync(extensions, `subjectAltName=${names}\n`);
  const issuer = ['-CA', ca.cert, '-CAkey', ca.key, '-CAcreateserial', '-days', DAYS];
  const files = ['-in', request, '-extfile', extensions, '-out', cert];
  await finish('openssl', ['x509', '-req', ...issuer, ...files]);
}

/**
 * A key and its certificate.
 * @param {Pair} ca
 * @param {string} folder
 * @param {string} name
 * @param {string} names
 * @returns {Promise<Pair>}
 */
export async function makeCertificate(ca, folder, name, names = `DNS:${name}`) {
  const pair = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  const request = join(folder, `${name}.csr`);
  const subject = ['-subj', `/CN=${name}`];
  await finish('openssl', ['req', ...NEW_KEY, '-keyout', pair.key, '-out', request, ...subject]);
  await signRequest(ca, request, pair.cert, names);
  return pair;
}
