import { readFile, stat } from 'node:fs/promises';
import { fileError, writeOutputFile } from '../../util/files.ts';
import { RangesError } from '../observers/error.ts';
import { formatRanges, parseRanges, type Ranges } from './ranges.ts';

/** A file for thousands of tensors has a few tens of megabytes. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/** Writes ranges to a file of their own, whole or not at all. */
export async function saveRanges(path: string, ranges: Ranges): Promise<void> {
  await writeOutputFile(path, formatRanges(ranges));
}

/** Reads what saveRanges wrote. Throws FileError or RangesError naming the file. */
export async function loadRanges(path: string): Promise<Ranges> {
  return parseRanges(await readText(path), path);
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new RangesError('invalid', `${path}: too large for ranges`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof RangesError) throw error;
    throw fileError('read', path, error);
  }
}
