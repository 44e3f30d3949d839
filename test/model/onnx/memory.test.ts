import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from '@jest/globals';
import { builtModule } from '../../../agent/util/paths.ts';
import { block, join as joined, number, tag, varint } from '../../support/wire-bytes.ts';

const MEGABYTE = 1024 * 1024;
const WEIGHTS = 20;
const FLOATS = 2.5 * MEGABYTE;

/** A model of twenty weights of ten megabytes. */
function writeLargeModel(path: string): void {
  const zeros = new Uint8Array(FLOATS * 4);
  const heads = Array.from({ length: WEIGHTS }, (_, index) => {
    const head = joined(block(8, `w${index}`), number(1, FLOATS), number(2, 1));
    const field = joined(tag(9, 2), varint(zeros.length));
    return joined(tag(5, 2), varint(head.length + field.length + zeros.length), head, field);
  });
  const total = heads.reduce((sum, head) => sum + head.length + zeros.length, 0);
  const file = openSync(path, 'w');
  writeSync(file, joined(number(1, 8), tag(7, 2), varint(total)));
  for (const head of heads) {
    writeSync(file, head);
    writeSync(file, zeros);
  }
  closeSync(file);
}

const PROGRAM = `
  import { readFileSync } from 'node:fs';
  const [module, path] = process.argv.slice(-2);
  const { openOnnx, writeOnnx } = await import(module);
  const arrays = () => process.memoryUsage().arrayBuffers;
  const before = arrays();
  const bytes = readFileSync(path);
  const model = openOnnx(bytes);
  const opened = arrays() - before;
  const chunks = writeOnnx(model);
  const written = arrays() - before - opened;
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  // Not maxRSS: that begins with what the process that started this one had.
  const [, peakKb] = /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  const peak = Number(peakKb) * 1024;
  console.log(JSON.stringify({ size: bytes.length, opened, written, length, peak }));
`;

test('a 200 MB model is opened in 200 MB, and written without a second copy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-memory-'));
  try {
    const path = join(folder, 'large.onnx');
    writeLargeModel(path);
    const module = pathToFileURL(builtModule('model/onnx/open')).href;
    const output = execFileSync(
      process.execPath,
      ['--input-type=module', '-e', PROGRAM, module, path],
      { encoding: 'utf8', timeout: 20_000 },
    );
    const found: Record<string, number> = JSON.parse(output);
    expect(found['size']).toBeGreaterThan(200 * MEGABYTE);
    expect(found['opened']).toBeLessThan(202 * MEGABYTE);
    expect(found['written']).toBeLessThan(MEGABYTE);
    expect(found['length']).toBe(found['size']);
    expect(found['peak']).toBeLessThan(300 * MEGABYTE);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
