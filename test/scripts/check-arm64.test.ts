import { describe, expect, test } from '@jest/globals';
import {
  benchChecks,
  differingBytes,
  rangesDifference,
  relativeDifference,
  within,
} from '../../scripts/check-arm64/compare.js';
import { mirrorIn } from '../../scripts/check-arm64/debian.js';

describe('the mirror', () => {
  const line = (address: string) => `'${address}' some_file_name 0 `;

  test('is that of the archive, not of security updates or of anybody else', () => {
    const uris = [
      line('https://packages.example/apt/dists/stable/InRelease'),
      line('http://mirror.example/debian-security/dists/bookworm-security/InRelease'),
      line('http://mirror.example/pub/debian/dists/bookworm/main/binary-amd64/Packages.xz'),
      line('http://mirror.example/pub/debian/dists/bookworm/InRelease'),
    ];
    expect(mirrorIn(uris.join('\n'))).toBe('http://mirror.example/pub/debian');
  });

  test('is asked for where apt has none', () => {
    expect(() => mirrorIn(line('http://mirror.example/ubuntu/dists/noble/InRelease'))).toThrow(
      'apt is configured for no Debian mirror',
    );
  });
});

describe('a difference', () => {
  test('is relative to the span of what is expected', () => {
    // 0.5 off in a span of 10.
    expect(relativeDifference([0, 5.5, 10], [0, 5, 10])).toBe(0.05);
    expect(relativeDifference([1, 1], [1, 1])).toBe(0);
  });

  test.each([
    ['a missing value', [1], [1, 2]],
    ['no value at all', [], []],
  ])('is never small for %s', (_, actual, expected) => {
    expect(relativeDifference(actual, expected)).toBe(Number.POSITIVE_INFINITY);
  });

  test('of what is not a number is too large', () => {
    const difference = relativeDifference([Number.NaN, 2], [1, 2]);
    expect(within('outputs', difference, 1).ok).toBe(false);
  });

  test('of ranges is that of the tensor which is farthest off', () => {
    const tensors = (max: number) => ({
      tensors: [
        { name: 'a', min: 0, max: 1 },
        { name: 'b', min: -1, max },
      ],
    });
    expect(rangesDifference(tensors(3.5), tensors(3))).toBe(0.125);
    expect(rangesDifference({ tensors: [] }, tensors(3))).toBe(Number.POSITIVE_INFINITY);
  });

  test('of files counts bytes', () => {
    expect(differingBytes(Buffer.from('abcd'), Buffer.from('abXY'))).toBe(2);
    expect(differingBytes(Buffer.from('abc'), Buffer.from('abcd'))).toBeNull();
  });
});

describe('a benchmark', () => {
  const latencyMs = { p50: 1, p90: 1, p99: 1, mean: 1, min: 1, count: 5 };
  const row = (id: string, precision: 'fp32' | 'int8', sqnrDb: number | null, top1 = 0.875) => ({
    id,
    precision,
    runtime: 'onnxruntime' as const,
    latencyMs,
    fidelity: { sqnrDb, cosine: 1, top1Agreement: 1, samples: 8 },
    accuracy: { metric: 'top1' as const, value: top1, samples: 8, drop: 0 },
    verdict: id === 'float' ? ('chosen' as const) : ('rejected' as const),
  });
  const float = row('float', 'fp32', null);
  const here = { candidates: [float, row('int8', 'int8', 30)], chosen: 'float' };
  type Rows = Parameters<typeof benchChecks>[1]['candidates'];
  const failures = (candidates: Rows, chosen: string | null = 'float') =>
    benchChecks('bench', { candidates, chosen }, here).flatMap(({ name, ok }) => (ok ? [] : name));

  test('agrees whichever versions were tried, where each is as accurate', () => {
    const signed = row('int8-signed', 'int8', 29.1);
    expect(failures([float, signed, row('int8', 'int8', 30.9)])).toEqual([]);
  });

  test.each([
    ['is more than a decibel farther from float', row('int8', 'int8', 28.9)],
    ['gives other answers', row('int8', 'int8', 30, 0.75)],
    ['could not be measured', { ...row('int8', 'int8', 30), latencyMs: null }],
  ])('does not agree where a version %s', (_, version) => {
    expect(failures([float, version])).toEqual(['bench: int8']);
  });

  test('must have every precision, and a choice', () => {
    expect(failures([float])).toEqual(['bench: precisions missing']);
    expect(failures(here.candidates, null)).toEqual(['bench: a row is chosen']);
  });
});
