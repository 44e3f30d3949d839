import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { codeOf } from '../util/errors.ts';

/** Length and SHA-256 (hexadecimal) of a file; null when it is not there. Throws system errors. */
export async function hashOfFile(path: string): Promise<{ bytes: number; sha256: string } | null> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const piece of createReadStream(path) as AsyncIterable<Uint8Array>) {
      hash.update(piece);
      bytes += piece.length;
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  return { bytes, sha256: hash.digest('hex') };
}
