import { codeOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';
import { readLimited } from '../../util/read-limited.ts';
import { TrustError } from '../errors.ts';
import { MAX_BYTES } from './layout.ts';
import { startFrom } from './trusted-set.ts';

/**
 * The root metadata in a file that a person names, as text: whole, and signed by enough of the keys
 * that it names for itself. Whether it is the right one only they can know. Throws FileError, and
 * TrustError (BAD_ROOT) naming the file.
 */
export async function readFirstRoot(path: string): Promise<string> {
  const bytes = await readLimited(path, MAX_BYTES.root).catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  if (bytes === null) {
    throw new TrustError('BAD_ROOT', `${path} is no TUF root: it has over ${MAX_BYTES.root} bytes`);
  }
  try {
    startFrom(bytes);
  } catch (cause) {
    const why =
      codeOf(cause) === 'bad_signature'
        ? 'is not signed by enough of the keys that it names for root'
        : 'is no TUF root: give the root.json of the repository';
    throw new TrustError('BAD_ROOT', `${path} ${why}`, { cause });
  }
  return bytes.toString('utf8');
}
