import { expect, test } from '@jest/globals';
import { canonicalJson } from '../../../agent/fleet/protocol/canonical.ts';

test('writes the example of RFC 8785 as the RFC does (3.2.2 to 3.2.4)', () => {
  const value: unknown = JSON.parse(
    String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],` +
      String.raw`"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",` +
      String.raw`"literals":[null,true,false]}`,
  );
  expect(canonicalJson(value)).toBe(
    '{"literals":[null,true,false],' +
      '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
});

test('sorts members by UTF-16 code units (RFC 8785, 3.2.3)', () => {
  const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, ö: 7 };
  const sorted = Object.values(JSON.parse(canonicalJson(value)) as Record<string, number>);
  // "1" is an array index, which objects list first; the text is what is signed.
  expect(canonicalJson(value)).toMatch(/^\{"\\r":2,"1":4,/);
  expect(sorted).toEqual([4, 2, 6, 7, 1, 5, 3]);
});

test.each([
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['half a surrogate pair', '\ud83d'],
  ['a function', () => 1],
])('%s has no canonical form', (_, value) => {
  expect(() => canonicalJson({ value })).toThrow(
    expect.objectContaining({ code: 'NOT_CANONICAL' }),
  );
});

test('nesting has an end', () => {
  let value: unknown = 1;
  for (let depth = 0; depth < 10_000; depth += 1) value = [value];
  expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ code: 'NOT_CANONICAL' }));
});
