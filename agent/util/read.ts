import { fileError } from './files.ts';
import { readLimited } from './read-limited.ts';

/** More than any text, key or certificate has that a person names; models and samples are read elsewhere. */
const MAX_NAMED_BYTES = 64 * 1024 * 1024;

/**
 * All of a file that a person named; a pipe such as <(command) will do. Bounded, because a device
 * (/dev/zero) has no end. Throws FileError.
 */
export async function readNamedFile(path: string, maxBytes = MAX_NAMED_BYTES): Promise<Buffer> {
  try {
    const bytes = await readLimited(path, maxBytes);
    if (bytes === null) throw new Error(`it is larger than ${maxBytes} bytes`);
    return bytes;
  } catch (error) {
    throw fileError('read', path, error);
  }
}

/** The same as text in UTF-8. */
export async function readNamedText(path: string, maxBytes?: number): Promise<string> {
  return (await readNamedFile(path, maxBytes)).toString('utf8');
}
