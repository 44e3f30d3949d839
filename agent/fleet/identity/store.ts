import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';
import { IdentityError } from './error.ts';

/** Who this device is at the broker, as files of the state folder that only its user may read. */
export interface IdentityFiles {
  readonly folder: string;
  readonly keyFile: string;
  readonly requestFile: string;
  readonly certFile: string;
  readonly caFile: string;
  readonly passwordFile: string;
  /** Device id and user name. */
  readonly nameFile: string;
  /** The first root of the signed metadata; everything else is trusted because of it. */
  readonly rootFile: string;
  /** The root that it was enrolled with; later ones take the place of `rootFile`. */
  readonly firstRootFile: string;
}

export function identityFiles(state: string): IdentityFiles {
  const folder = join(state, 'identity');
  return {
    folder,
    keyFile: join(folder, 'key.pem'),
    requestFile: join(folder, 'request.pem'),
    certFile: join(folder, 'cert.pem'),
    caFile: join(folder, 'ca.pem'),
    passwordFile: join(folder, 'password'),
    nameFile: join(folder, 'identity.json'),
    rootFile: join(state, 'tuf', 'root.json'),
    firstRootFile: join(state, 'tuf', 'first-root.json'),
  };
}

const nameSchema = z.object({
  v: z.literal(1),
  deviceId: z.string(),
  user: z.string().nullable(),
});

export type IdentityName = z.infer<typeof nameSchema>;

/** What `agent enrol` was told, or null before it. Throws IdentityError and FileError. */
export async function readIdentityName(state: string): Promise<IdentityName | null> {
  const { nameFile } = identityFiles(state);
  let text: string;
  try {
    text = await readFile(nameFile, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw fileError('read', nameFile, error);
  }
  try {
    return nameSchema.parse(JSON.parse(text));
  } catch (error) {
    const fix =
      'agent enrol, with the --user and --device-id that it was given, writes it anew and leaves the ' +
      'key or password as it is';
    throw new IdentityError('DAMAGED', `${nameFile} is damaged: ${fix}`, error);
  }
}

/** The user name at the broker that was given when the device was enrolled. */
export async function readIdentityUser(state: string): Promise<string | undefined> {
  return (await readIdentityName(state))?.user ?? undefined;
}
