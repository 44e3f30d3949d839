import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import type { Sample, SampleSource } from '../../agent/calibration/samples/types.ts';
import type { SessionDescription, TensorType } from '../../agent/runtime/types.ts';

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-calibration-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A model's inputs: `model({ x: ['float32', [1, 3]] })`. */
export function model(
  inputs: Readonly<Record<string, readonly [TensorType, readonly (number | string | null)[]]>>,
): SessionDescription {
  const described = Object.entries(inputs).map(([name, [dtype, shape]]) => ({
    name,
    dtype,
    shape,
  }));
  return { inputs: described, outputs: [] };
}

export async function all(source: SampleSource): Promise<Sample[]> {
  const samples: Sample[] = [];
  for await (const sample of source) samples.push(sample);
  return samples;
}

/** The values that a sample feeds to an input, as plain numbers. */
export function valuesOf(sample: Sample | undefined, input = 'x'): number[] {
  return Array.from<number | bigint | string, number>(sample?.feeds[input]?.data ?? [], Number);
}
