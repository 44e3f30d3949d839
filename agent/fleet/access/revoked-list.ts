import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  revocationSchema,
  revokedListSchema,
  type Revocation,
} from '../../contracts/revocation.ts';
import { codeOf } from '../../util/errors.ts';
import { fileError, writeFileDurably } from '../../util/files.ts';
import { AccessError } from './error.ts';

/** Where an operator's own list is kept by default. */
export function defaultListPath(state: string): string {
  return join(state, 'fleet', 'revoked.json');
}

/**
 * The devices that are shut out; none where there is no file yet. Throws FileError, and AccessError for
 * a file that holds something else: taking it for empty would let everybody in again.
 */
export async function readRevoked(path: string): Promise<readonly Revocation[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw fileError('read', path, error);
  }
  try {
    return revokedListSchema.parse(JSON.parse(text)).devices;
  } catch (error) {
    throw new AccessError('DAMAGED', `${path} is no list of revoked devices`, error);
  }
}

/**
 * The list with one more entry, which takes the place of an older one of the same device. Throws
 * AccessError for an entry that the list could not be read with any more.
 */
export async function addRevoked(path: string, entry: Revocation): Promise<readonly Revocation[]> {
  const parsed = revocationSchema.safeParse(entry);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AccessError('BAD_ENTRY', `${issue?.path.join('.')}: ${issue?.message}`);
  }
  const others = (await readRevoked(path)).filter(({ deviceId }) => deviceId !== entry.deviceId);
  return writeRevoked(path, [...others, entry]);
}

/** The list without a device. Throws AccessError when it is not in it. */
export async function removeRevoked(
  path: string,
  deviceId: string,
): Promise<readonly Revocation[]> {
  const before = await readRevoked(path);
  const after = before.filter((entry) => entry.deviceId !== deviceId);
  if (after.length === before.length) {
    throw new AccessError('NOT_REVOKED', `${deviceId} is not in ${path}`);
  }
  return writeRevoked(path, after);
}

async function writeRevoked(path: string, devices: readonly Revocation[]) {
  const list = { schema: 'edgefit/revoked-list/1', devices };
  await writeFileDurably(path, `${JSON.stringify(list, null, 2)}\n`);
  return devices;
}
