import { describe, expect, test } from '@jest/globals';
import { drawComparison, isChartPath } from '../../../agent/fit/inspect/inspect-chart.ts';
import { dbScale, escapeXml, onScale, shortened } from '../../../agent/fit/inspect/inspect-svg.ts';
import { addedErrorDb, steepestFalls } from '../../../agent/fit/inspect/inspect-words.ts';
import { comparisonOf, inspectReport, layer } from '../inspect-fixture.ts';

describe('the scale', () => {
  test.each([
    [[], 0, 40],
    [[12, 33.5], 0, 40],
    [[41], 0, 50],
    [[-3, 20], -10, 40],
    [[-200, 300], -40, 80],
  ])('%j: %i to %i dB', (values, from, to) => {
    const scale = dbScale(values);
    expect([scale.from, scale.to]).toEqual([from, to]);
    expect([scale.ticks[0], scale.ticks.at(-1)]).toEqual([from, to]);
    expect(new Set(scale.ticks.slice(1).map((tick, at) => tick - scale.ticks[at]!))).toEqual(
      new Set([10]),
    );
  });

  test('positions, the edges for what is beyond', () => {
    const scale = dbScale([-10, 40]);
    expect([-10, 15, 40, -99, 99].map((value) => onScale(value, scale))).toEqual([0, 0.5, 1, 0, 1]);
  });
});

test('long names keep their end, markup and control characters do no harm', () => {
  expect(shortened('/encoder/layer.3/Conv', 12)).toBe('...er.3/Conv');
  expect(shortened('short', 12)).toBe('short');
  expect(escapeXml('<a&"b">\u0000\n')).toBe('&lt;a&amp;&quot;b&quot;&gt; ');
});

describe('the drawing', () => {
  const layers = [
    layer('a', { sqnrDb: 47.9, ownSqnrDb: 47.9 }),
    layer('b', { integer: false, sqnrDb: 31.2, ownSqnrDb: null }),
    layer('<script>', { output: true, sqnrDb: null, node: '<script>' }),
  ];

  test('SVG: a row per layer, colours for integers and float, nothing from outside', () => {
    const svg = drawComparison(comparisonOf(layers), 'error.svg');
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" /);
    expect(svg.match(/<g><title>/g)).toHaveLength(3);
    expect(svg.match(/<rect class="integer"/g)).toHaveLength(3); // Two layers and the legend.
    expect(svg.match(/<rect class="float"/g)).toHaveLength(2);
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).not.toContain('<script>');
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|url\(|@import/);
  });

  test('a better layer has a longer bar', () => {
    const svg = drawComparison(comparisonOf(layers), 'error.svg');
    const widths = [
      ...svg.matchAll(/class="(?:integer|float)" x="\d+" y="\d[\d.]*" width="(\d+)"/g),
    ]
      .map(([, width]) => Number(width))
      .filter((width) => width !== 12);
    const [first = 0, second = 0, exact = 0] = widths;
    expect(second).toBeLessThan(first);
    expect(exact).toBeGreaterThan(first);
  });

  test('HTML: the same, with a table and what could not be compared', () => {
    const html = drawComparison(comparisonOf(layers), 'error.HTML');
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain('<svg');
    expect(html.match(/<tr>/g)).toHaveLength(4);
    expect(html).toContain('norm (BatchNormalization): not in the quantized model');
    expect(html).not.toContain('<script>');
  });

  test('as tall as it has layers', () => {
    const heightOf = (count: number) => {
      const many = Array.from({ length: count }, (_, at) => layer(`t${at}`));
      return Number(/height="(\d+)"/.exec(drawComparison(comparisonOf(many), 'a.svg'))?.[1]);
    };
    expect(heightOf(300) - heightOf(200)).toBe(100 * 18);
  });

  test('needs a comparison', () => {
    expect(() => drawComparison(inspectReport, 'a.svg')).toThrow('no comparison');
  });
});

test.each([
  ['a.svg', true],
  ['a.HTML', true],
  ['a.png', false],
  ['svg', false],
])('%s is a chart: %p', (path, is) => {
  expect(isChartPath(path)).toBe(is);
});

/** A layer whose own error is not known. */
function without(tensor: string) {
  const { ownSqnrDb: _, ...rest } = layer(tensor);
  return rest;
}

test('the error a layer adds: its own where any is known, else all of it', () => {
  const own = [layer('a'), without('b')];
  expect(own.map((one) => addedErrorDb(one, own))).toEqual([35, Infinity]);
  const all = [without('a'), { ...without('b'), sqnrDb: null }];
  expect(all.map((one) => addedErrorDb(one, all))).toEqual([30, Infinity]);
});

test('falls of a bit and more, the steepest first', () => {
  const layers = [
    layer('first', { sqnrDb: 10 }),
    layer('small', { inputSqnrDb: 35 }),
    layer('steep', { inputSqnrDb: 40 }),
    layer('steeper', { inputSqnrDb: 45 }),
    layer('exact', { inputSqnrDb: null }),
  ];
  expect(steepestFalls(layers, 5).map(({ tensor }) => tensor)).toEqual(['steeper', 'steep']);
  expect(steepestFalls(layers, 1).map(({ tensor }) => tensor)).toEqual(['steeper']);
});
