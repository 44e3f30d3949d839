import { readFile } from 'node:fs/promises';
import { integerCoverage } from '../../model/tflite/macs.ts';
import { openTflite } from '../../model/tflite/open.ts';

/**
 * Share of multiply-accumulates in integer kernels, by the file: TFLite's C library keeps no profile,
 * and its kernels follow from the types of the tensors. Null where nothing is multiplied.
 */
export async function coverageOfTflite(path: string): Promise<number | null> {
  return integerCoverage(openTflite(await readFile(path))).coverage;
}
