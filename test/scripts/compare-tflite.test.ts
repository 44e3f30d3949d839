import { expect, test } from '@jest/globals';
import { peerTable, verdict } from '../../scripts/compare-tflite/table.js';

const figures = (
  ms1: number,
  sqnrDb: number | null,
  bytes: number,
  value: number | null = null,
) => ({
  bytes,
  sqnrDb,
  metric: value === null ? null : 'top1',
  value,
  ms1,
  msAll: ms1,
});

const float = figures(10, null, 1000, 0.9);
const rows = [
  {
    name: 'won',
    made: 'int8-static',
    runtime: 'LiteRT',
    figures: { float, ours: figures(4, 30, 250, 0.895), peer: figures(5, 29, 300, 0.89) },
    old: { float, ours: figures(8, 31, 250, 0.9) },
    failed: {},
  },
  {
    name: 'less accurate',
    made: 'int8-static',
    runtime: 'TFLite 2.9',
    figures: { float, ours: figures(5, 30, 500, 0.9), peer: figures(5, 40, 300, 0.9) },
    old: null,
    failed: {},
  },
  {
    name: 'alone',
    made: 'as it is',
    runtime: 'LiteRT',
    figures: { float: figures(10, null, 1000), ours: figures(9, null, 1000) },
    old: null,
    failed: { peer: 'LiteRT takes no | of these' },
  },
  {
    name: 'failed',
    made: '-',
    runtime: 'LiteRT',
    figures: null,
    old: null,
    failed: { ours: 'no samples' },
  },
];

test('a line for each package', () => {
  expect(peerTable(rows).split('\n').slice(2)).toEqual([
    '| won | int8-static | 0.250, 0.300 | 30.0, 29.0 | 90.00, 89.50, 89.00 | 0.40, 0.50 | 0.80 | 31.0, 0.80 | yes |',
    '| less accurate | int8-static | 0.500, 0.300 | 30.0, 40.0 | 90.00, 90.00, 90.00 | 0.50, 0.50 | 1.00 | - | NO (TFLite 2.9) |',
    '| alone | as it is | 1.000 | same | - | 0.90 | LiteRT takes no / of these | - | yes |',
    '| failed | - | ours: no samples |  |  |  |  |  | NO |',
  ]);
});

test('the verdict names what was lost, what was not run, and what is float', () => {
  // Latency: sqrt(0.8 * 1) beside the peer, (0.4 * 0.5 * 0.9)^(1/3) beside float; size (0.25 * 0.5)^(1/3).
  expect(verdict(rows).split('\n')).toEqual([
    'not won: less accurate',
    'not run: failed',
    'computes what float does: alone',
    'won 2 of 4; latency/peer 0.89, latency/float 0.56; size/float 0.50; worst drop 0.50 points',
  ]);
});
