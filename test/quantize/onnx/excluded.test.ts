import { describe, expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { isExcluded, matches, ruleFor } from '../../../agent/quantize/onnx/excluded.ts';

const conv = makeNode('Conv', ['x', 'w'], ['features/out'], { name: 'backbone.3.conv' });
const unnamed = { ...conv, name: '' };

test('nodes are excluded by name, or by what they make', () => {
  expect(isExcluded({ excluded: ['backbone.3.conv'] }, conv)).toBe(true);
  expect(isExcluded({ excluded: ['features/out'] }, unnamed)).toBe(true);
  expect(isExcluded({ excluded: ['backbone.3', ''] }, conv)).toBe(false);
});

describe('a rule matches', () => {
  test.each([
    ['backbone.3.conv', true],
    ['backbone*', true],
    ['*conv', true],
    ['*', true],
    ['b*.3.*v', true],
    ['features/*', true],
    ['*.3.*.conv', false],
    ['backbone', false],
    ['conv*', false],
    ['*backbone.3.conv*conv', false],
  ])('%s: %p', (name, expected) => {
    expect(matches({ name }, conv)).toBe(expected);
  });

  test('by operator, and by both', () => {
    expect(matches({ op: 'Conv' }, conv)).toBe(true);
    expect(matches({ op: 'Gemm' }, conv)).toBe(false);
    expect(matches({ op: 'Conv', name: 'head*' }, conv)).toBe(false);
  });

  test('a hostile pattern takes no time', () => {
    const long = { ...conv, name: 'a'.repeat(50_000) };
    const start = performance.now();
    expect(matches({ name: `${'*a'.repeat(500)}b` }, long)).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

test('the last rule that sets a field has the last word', () => {
  const rules = [
    { op: 'Conv', precision: 'float', observer: 'mse' },
    { name: 'backbone*', precision: 'integer' },
    { name: 'head*', perChannel: false },
  ] as const;
  expect(ruleFor({ excluded: [], rules }, conv)).toMatchObject({
    precision: 'integer',
    observer: 'mse',
  });
  expect(isExcluded({ excluded: [], rules }, conv)).toBe(false);
  expect(isExcluded({ excluded: [], rules: rules.slice(0, 1) }, conv)).toBe(true);
});
