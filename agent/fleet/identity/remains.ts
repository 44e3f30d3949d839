import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isId } from '../protocol/topics.ts';
import { requestedName } from './certificate-request.ts';
import { IdentityError } from './error.ts';
import type { IdentityFiles, IdentityName } from './store.ts';

/**
 * Who a device is whose name file is damaged, by the files beside it. What they do not say,
 * user names and the id that goes with one, is as given. Throws IdentityError (DAMAGED) where
 * a user name is needed and nobody gave one, and system errors.
 */
export async function readRemains(
  files: IdentityFiles,
  deviceId: string,
  user: string | null,
): Promise<IdentityName> {
  if (isOfCertificate(files)) {
    return { v: 1, deviceId: (await subjectOf(files)) ?? deviceId, user: null };
  }
  if (user !== null) return { v: 1, deviceId, user };
  const fix = 'give --user, and --device-id if it had one; --force makes another identity';
  const what = `${files.nameFile} is damaged, and this device had a user name`;
  throw new IdentityError('DAMAGED', `${what}: ${fix}`);
}

/** The name is written last: without a password there is a key, or there was a user name. */
function isOfCertificate(files: IdentityFiles): boolean {
  if (existsSync(files.passwordFile)) return false;
  return [files.keyFile, files.requestFile, files.certFile].some((path) => existsSync(path));
}

/** By the request, which is as we made it, else by what a CA made of it. */
async function subjectOf({ requestFile, certFile }: IdentityFiles): Promise<string | null> {
  const request = existsSync(requestFile)
    ? requestedName(await readFile(requestFile, 'utf8'))
    : null;
  const name = request ?? (existsSync(certFile) ? nameIn(await readFile(certFile)) : null);
  return name !== null && isId(name) ? name : null;
}

function nameIn(certificate: Buffer): string | null {
  try {
    return /^CN=(.*)$/m.exec(new X509Certificate(certificate).subject)?.[1] ?? null;
  } catch {
    // Damaged as well: it says nothing.
    return null;
  }
}
