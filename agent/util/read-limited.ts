import { open } from 'node:fs/promises';

/**
 * The bytes of a file, or null where it has more than `maxBytes`: a device or a pipe does not say its
 * size, and may never end. Throws system errors.
 */
export async function readLimited(path: string, maxBytes: number): Promise<Buffer | null> {
  const file = await open(path, 'r');
  try {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of file.createReadStream({ end: maxBytes, autoClose: false })) {
      const part = Buffer.from(chunk);
      chunks.push(part);
      bytes += part.length;
    }
    return bytes > maxBytes ? null : Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}
