import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { messageOf } from '../../agent/util/errors.ts';
import { available, programPath, sharedDir, testIf } from './available.ts';

const saved = process.env['EDGEFIT_REQUIRE'];

beforeEach(() => {
  delete process.env['EDGEFIT_REQUIRE'];
});

afterEach(() => {
  if (saved === undefined) delete process.env['EDGEFIT_REQUIRE'];
  else process.env['EDGEFIT_REQUIRE'] = saved;
});

test('finds programs and says so when there are none', () => {
  expect(programPath('sh')).toMatch(/\/sh$/);
  expect(programPath('no-such-program-here')).toBeUndefined();
});

test('a missing resource is an ordinary false, or an error where it is required', () => {
  const here = existsSync(sharedDir());
  expect(available('shared')).toBe(here);
  expect(testIf('shared')).toBe(here ? test : test.skip);

  process.env['EDGEFIT_REQUIRE'] = 'openssl, shared';
  expect(outcomeOf(() => available('shared'))).toBe(
    here ? 'true' : 'EDGEFIT_REQUIRE names shared, but it is not here',
  );
});

function outcomeOf(act: () => unknown): string {
  try {
    return String(act());
  } catch (error) {
    return messageOf(error);
  }
}

test('a misspelt requirement is not ignored', () => {
  process.env['EDGEFIT_REQUIRE'] = 'shared,mosquito';
  expect(() => available('openssl')).toThrow('nothing is called mosquito');
});
