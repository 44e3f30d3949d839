import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { autoTargets, keptFloat } from '../../scripts/compare-peer/auto-targets.js';
import { observerTargets } from '../../scripts/compare-peer/observer-targets.js';
import { peerOf } from '../../scripts/compare-peer/peer.js';
import { treePssBytes } from '../../scripts/compare-peer/quantize.js';
import { likeForLike, measuredIn } from '../../scripts/compare-peer/rows.js';
import type { Mode } from '../../scripts/compare-peer/rows.js';
import {
  geometricMean,
  judgeEach,
  judgeGeometricMean,
  latencyRatio,
  won,
} from '../../scripts/compare-peer/rules.js';
import { staticTargets } from '../../scripts/compare-peer/static-targets.js';
import { likeForLikeTable, staticTable, targetList } from '../../scripts/compare-peer/table.js';

const figures = (ms1: number, sqnrDb: number | null, value: number | null = null) => ({
  bytes: 1000,
  sqnrDb,
  metric: value === null ? null : 'top1',
  value,
  ms1,
  msAll: ms1,
});

describe('a package is won', () => {
  const float = figures(10, null, 0.9);
  test.each([
    ['as fast and as accurate as the peer', figures(5.4, 30, 0.9), figures(5, 30, 0.9), true],
    ['as accurate, but slower than the noise allows', figures(5.5, 30), figures(5, 30), false],
    ['as fast, but less accurate', figures(5, 29.9), figures(5, 30), false],
    ['10 % faster at 20 dB', figures(4.5, 20), figures(5, 30), true],
    ['10 % faster, but under 20 dB', figures(4.5, 19.9), figures(5, 30), false],
    ['more than a point of the metric lost', figures(1, 40, 0.889), figures(5, 30, 0.9), false],
    ['faster than float where the peer has nothing', figures(9, 20, 0.9), undefined, true],
    ['a copy of float where the peer has nothing', figures(10, null, 0.9), undefined, false],
    [
      'beside a peer slower than float, float is to be beaten',
      figures(9.5, 20),
      figures(15, 30),
      false,
    ],
    ['a copy of float beside a slower peer', figures(10, null, 0.9), figures(15, 30, 0.9), true],
  ])('%s', (_, ours, peer, expected) => {
    expect(won({ float, ours, peer })).toBe(expected);
  });
});

describe('figures are judged', () => {
  test('by the geometric mean', () => {
    expect(geometricMean([0.25, 1])).toBeCloseTo(0.5, 12);
    expect(judgeGeometricMean([0.25, 1], 0.47, 1.08)).toEqual({
      reached: '0.50 over 2',
      verdict: 'met',
    });
    expect(judgeGeometricMean([0.25, 1], 0.46, 1.08).verdict).toBe('missed');
    expect(judgeGeometricMean([], 1).verdict).toBe('not shown');
  });

  test('one by one, and all that break the limit are named', () => {
    const values = ['a', 'b', 'c'].map((name, i) => ({ name, value: i + 1 }));
    expect(judgeEach(values, { atMost: 3 })).toEqual({
      reached: '3 of 3; worst: c 3.00',
      verdict: 'met',
    });
    expect(judgeEach(values, { atMost: 1, slack: 1.5, digits: 0, unit: ' s' })).toEqual({
      reached: '1 of 3; worst: c 3 s, b 2 s',
      verdict: 'missed',
    });
    expect(judgeEach(values, { atLeast: 2, digits: 0 })).toEqual({
      reached: '2 of 3; worst: a 1',
      verdict: 'missed',
    });
    expect(judgeEach([{ name: 'a', value: NaN }], { atMost: 1 }).verdict).toBe('missed');
  });

  test('not at all below the clock’s noise', () => {
    expect(latencyRatio('a', 0.06, 0.05)).toEqual({ name: 'a', ratio: 1.2, judged: true });
    expect(latencyRatio('a', 0.06, 0.04).judged).toBe(false);
  });
});

const peerRow = (variant: string, more: object = {}) => ({
  variant,
  ok: true,
  processSeconds: 1,
  peakRssMB: 100,
  sqnrDb: 30,
  identicalToFloat: false,
  ms1: 4,
  floatMs1: 8,
  ...more,
});

describe('the peer’s results', () => {
  test('give its most accurate static file and the file like ours', () => {
    const peer = peerOf({
      best: 'dynamic',
      rows: [
        peerRow('u8s8-minmax', { ok: false, sqnrDb: null, ms1: null, processSeconds: 9 }),
        peerRow('dynamic', { sqnrDb: 60 }),
        peerRow('u8s8-percentile+opset17', { sqnrDb: 33, ms1: null }),
        peerRow('u8s8-minmax+opset17', { processSeconds: 2.5 }),
      ],
    });
    expect(peer).toEqual({
      best: 'dynamic',
      bestStatic: { variant: 'u8s8-percentile+opset17', sqnrDb: 33 },
      likeForLike: { variant: 'u8s8-minmax+opset17', perFloat: 0.5, ms1: 4, isBest: false },
      cost: { seconds: 2.5, peakMB: 100, costly: true },
    });
  });

  test('do not count a file in which nothing was quantized', () => {
    const copy = peerRow('u8s8-minmax', { identicalToFloat: true, sqnrDb: 999 });
    expect(peerOf({ best: null, rows: [copy] })).toMatchObject({
      bestStatic: null,
      likeForLike: null,
    });
    expect(peerOf(undefined).cost).toBeNull();
  });
});

const report = (made: string) => ({
  schema: 'edgefit/quantize/1' as const,
  output: 'x.onnx',
  scheme: 'auto',
  bytes: 250,
  floatBytes: 1000,
  seconds: 1,
  peakRssBytes: 0,
  integerCoverage: 1,
  ops: { integer: 1, fp16: 0, float: 2 },
  left: [],
  made,
});

const rowOf = (name: string, mode: Mode, ours: ReturnType<typeof figures>) => ({
  name,
  hasConv: true,
  runs: { [mode]: { seconds: 2, peakPssBytes: 60 * 2 ** 20, error: null, report: report('x') } },
  figures: { float: { ...figures(10, null, 0.9), bytes: 5e6 }, [mode]: ours },
  failed: [],
  peer: peerOf({ best: null, rows: [peerRow('u8s8-minmax', { processSeconds: 4 })] }),
});

const verdicts = (targets: readonly { what: string; verdict: string }[]) =>
  Object.fromEntries(targets.map(({ what, verdict }) => [what, verdict]));

test('a float copy is named, and a refusal is no success', () => {
  const refused = {
    ...rowOf('refused', 'auto', figures(1, 30)),
    figures: {},
    runs: { auto: { seconds: 1, peakPssBytes: 0, report: null, error: 'cannot' } },
  };
  const rows = [rowOf('copy', 'auto', figures(10, null, 0.9)), refused];
  expect(keptFloat(rows)).toEqual([{ name: 'copy', lost: [] }]);
  const targets = autoTargets(rows);
  expect(targets[0]).toMatchObject({
    reached: '1 of 2; not: refused (cannot)',
    verdict: 'missed',
  });
  expect(targets[1]).toMatchObject({ reached: '0 of 2; not won: copy', verdict: 'missed' });
});

test('static files are judged beside the peer’s', () => {
  const ours = { ...figures(4, 32, 0.897), bytes: 1.3e6 };
  const [plain, alike] = [rowOf('one', 'int8-static', ours), rowOf('one', 'like for like', ours)];
  const runs = { ...plain.runs, ...alike.runs };
  const rows = [{ ...plain, runs, figures: { ...plain.figures, ...alike.figures } }];
  const [measured] = measuredIn(rows, 'like for like');
  // The peer took half of float's time: 5 ms here.
  expect(likeForLike(measured!)).toMatchObject({ ratio: 0.8, judged: true, how: 'ratios' });
  expect(verdicts(staticTargets(rows))).toMatchObject({
    'static: latency / like for like, mean': 'met',
    'static: dB ahead of the best static, each': 'met',
    'static: dB ahead, average': 'met',
    'static: no collapse': 'met',
    'int8-static: metric down, average': 'met',
    'static: size / float, over 4 MB': 'met',
    'static: size / float, 1 to 4 MB': 'not shown',
    'static: seconds / peer, where it is costly': 'met',
    'static: memory / peer, where it is costly': 'met',
  });
  expect(staticTable(rows).split('\n')[1]).toMatch(/^one +0\.26 +32\.0 +2\.0 +0\.30 +2 /);
  expect(likeForLikeTable(rows).split('\n')[1]).toMatch(/^one +32\.0 .* 0\.80 +0\.50 /);
});

test('observers are compared with min-max and with themselves', () => {
  const run = (observer: string, samples: number, peakPssBytes: number) => ({
    observer,
    samples,
    peakPssBytes,
  });
  const targets = observerTargets([
    run('min-max', 100, 100),
    run('entropy', 100, 120),
    run('min-max', 1000, 108),
    run('entropy', 1000, 140),
  ]);
  expect(targets.map(({ verdict }) => verdict)).toEqual(['met', 'missed']);
  expect(targets[1]?.reached).toBe('1 of 2; worst: entropy 1.17');
});

test('long verdicts are continued on lines of their own', () => {
  const reached = Array.from({ length: 30 }, (_, i) => `package-${i}`).join(', ');
  const lines = targetList([{ what: 'a', target: 'b', reached, verdict: 'missed' }]).split('\n');
  expect(lines[0]).toBe('MISSED    a: b');
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
  expect(
    lines
      .slice(1)
      .map((line) => line.trim())
      .join(' '),
  ).toBe(reached);
});

test('memory is summed over a process and its children', async () => {
  const hold = 'const held = Buffer.alloc(64e6, 1); process.stdout.write(`${held[0]}`);';
  const code = `const { spawn } = require('node:child_process');
    spawn(process.execPath, ['-e', ${JSON.stringify(`${hold} setTimeout(() => {}, 60e3)`)}],
      { stdio: ['pipe', 'inherit', 'inherit'] }); ${hold} setTimeout(() => {}, 60e3)`;
  const parent = spawn(process.execPath, ['-e', code], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  try {
    let written = '';
    for await (const chunk of parent.stdout) {
      written += String(chunk);
      if (written === '11') break;
    }
    expect(treePssBytes(parent.pid!)).toBeGreaterThan(128e6);
  } finally {
    const ended = once(parent, 'exit');
    process.kill(-parent.pid!, 'SIGKILL');
    await ended;
  }
  expect(treePssBytes(parent.pid!)).toBe(0);
}, 20_000);
