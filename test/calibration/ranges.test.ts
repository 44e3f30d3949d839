import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { TensorAccumulator } from '../../agent/calibration/observers/accumulator.ts';
import { loadRanges, saveRanges } from '../../agent/calibration/ranges/files.ts';
import { mergeRanges } from '../../agent/calibration/ranges/merge.ts';
import {
  packCounts,
  packFloats,
  unpackCounts,
  unpackFloats,
} from '../../agent/calibration/ranges/pack.ts';
import { formatRanges, parseRanges, type Ranges } from '../../agent/calibration/ranges/ranges.ts';
import type { RangesFile } from '../../agent/contracts/ranges.ts';
import { temporaryFolder } from './support.ts';

const model = { name: 'm', sha256: 'ab'.repeat(32) };
const everything = { histogram: true, channels: true };

function rangesOf(...samples: readonly (readonly number[])[]): Ranges {
  const accumulator = new TensorAccumulator(everything);
  for (const sample of samples) accumulator.add(Float32Array.from(sample), [1, 2]);
  const tensors = new Map([['t', accumulator.state()]]);
  return { model, samples: samples.length, tensors };
}

const some = rangesOf([-1, 2], [0.1, NaN]);

const change = (edit: (file: RangesFile) => void) => {
  const file = JSON.parse(formatRanges(some)) as RangesFile;
  edit(file);
  return JSON.stringify(file);
};
const tensor = (edit: (one: RangesFile['tensors'][number]) => void) =>
  change((file) => edit(file.tensors[0]!));

const folder = temporaryFolder();

describe('a ranges file', () => {
  test('gives back what was written', async () => {
    const path = join(folder, 'deep', 'ranges.json');
    await saveRanges(path, some);
    expect(await loadRanges(path)).toEqual(some);
  });

  test('keeps tensors without finite values, histogram or channels', () => {
    const bare = new TensorAccumulator({ histogram: false, channels: false }, 'float16');
    const nothing = new TensorAccumulator(everything);
    nothing.add(Float32Array.of(NaN), [1]);
    const tensors = new Map([
      ['bare', bare.state()],
      ['__proto__', nothing.state()],
    ]);
    const ranges = { model, samples: 1, tensors };
    expect(parseRanges(formatRanges(ranges), 'r.json')).toEqual(ranges);
  });

  test.each([
    ['text', '{', 'r.json: not JSON'],
    ['another schema', '{"schema":"edgefit/ranges/2"}', 'r.json: schema: '],
    ['a short checksum', change((file) => (file.model.sha256 = 'ab')), 'model.sha256: must be 64'],
    ['crossed extremes', tensor((one) => (one.min = 9)), 'tensors.0.min: must not be above max'],
    ['no extremes', tensor((one) => (one.min = null)), 'must be null exactly when count is 0'],
    [
      'bins of another width',
      tensor((one) => (one.histogram!.exponent += 1)),
      'tensor t: the histogram is damaged',
    ],
    ['bins elsewhere', tensor((one) => (one.histogram!.first += 1)), 'histogram is damaged'],
    ['lost bins', tensor((one) => (one.histogram!.counts = 'AAAA')), 'histogram is damaged'],
    ['lost values', tensor((one) => (one.count += 1)), 'histogram is damaged'],
    [
      'lost channels',
      tensor((one) => (one.channels!.sums = 'AAAA')),
      'list of channels is damaged',
    ],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseRanges(text, 'r.json')).toThrow(message);
    expect(() => parseRanges(text, 'r.json')).toThrow(
      expect.objectContaining({ name: 'RangesError', kind: 'input' }),
    );
  });

  test('names a file that is missing or wrong', async () => {
    await expect(loadRanges(join(folder, 'no.json'))).rejects.toThrow('no.json: no such file');
    writeFileSync(join(folder, 'bad.json'), '[]');
    await expect(loadRanges(join(folder, 'bad.json'))).rejects.toThrow('bad.json: ');
  });
});

describe('mergeRanges', () => {
  test('is as if one device had seen everything', () => {
    const pair = fc.tuple(
      fc.float({ noDefaultInfinity: true }),
      fc.float({ noDefaultInfinity: true }),
    );
    const samples = fc.array(pair, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(samples, samples, (a, b) => {
        const merged = mergeRanges(rangesOf(...a), rangesOf(...b)).tensors.get('t')!;
        const together = rangesOf(...a, ...b).tensors.get('t')!;
        // Sums and averages are the same up to rounding, everything else exactly.
        const { averageMin, averageMax, channelSums, ...exact } = together;
        expect(merged).toMatchObject(exact);
        const size = Math.max(1e-30, Math.abs(together.min), Math.abs(together.max));
        const near = (x: number, y: number) => Math.abs(x - y) <= size * 1e-9;
        expect(merged.averaged === 0 || near(merged.averageMin, averageMin)).toBe(true);
        expect(merged.averaged === 0 || near(merged.averageMax, averageMax)).toBe(true);
        expect(merged.channelSums?.every((sum, i) => near(sum, channelSums![i]!))).toBe(true);
      }),
    );
  });

  test('keeps tensors that only one side has', () => {
    const other = { model, samples: 3, tensors: new Map([['u', some.tensors.get('t')!]]) };
    const merged = mergeRanges(some, other);
    expect(merged.samples).toBe(5);
    expect([...merged.tensors.keys()]).toEqual(['t', 'u']);
  });

  test('drops a histogram that only one side has', () => {
    const accumulator = new TensorAccumulator({ histogram: false, channels: false });
    accumulator.add(Float32Array.of(7), [1]);
    const bare = { model, samples: 1, tensors: new Map([['t', accumulator.state()]]) };
    expect(mergeRanges(some, bare).tensors.get('t')).toMatchObject({
      histogram: null,
      channelSums: null,
      max: 7,
    });
  });

  test('refuses ranges of different models', () => {
    const other = { ...some, model: { name: 'n', sha256: 'cd'.repeat(32) } };
    expect(() => mergeRanges(some, other)).toThrow(
      'ranges of different models cannot be merged: m (abababababab) and n (cdcdcdcdcdcd)',
    );
  });
});

describe('packing', () => {
  test('counts are varints', () => {
    expect(packCounts(Float64Array.of(0, 127, 128, 300))).toBe(
      Buffer.from([0, 127, 0x80, 1, 0xac, 2]).toString('base64'),
    );
    const large = Float64Array.of(2 ** 53 - 1, 0, 2 ** 32);
    expect(unpackCounts(packCounts(large))).toEqual(large);
  });

  test.each([[[0x80]], [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]])(
    'damaged counts: %j',
    (bytes) => {
      expect(unpackCounts(Buffer.from(bytes).toString('base64'))).toBeNull();
    },
  );

  test('floats are little-endian doubles and finite', () => {
    const values = Float64Array.of(1.5, -1e300, 0);
    expect(unpackFloats(packFloats(values))).toEqual(values);
    expect(unpackFloats(packFloats(Float64Array.of(NaN)))).toBeNull();
    expect(unpackFloats('AAAA')).toBeNull();
  });
});
