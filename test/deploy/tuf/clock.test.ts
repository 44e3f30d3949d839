import { expect, test } from '@jest/globals';
import { judgedNow, timeToPersist } from '../../../agent/deploy/tuf/clock.ts';

const BOOT_MS = 0;
const SIGNED_MS = Date.parse('2026-06-01T00:00:00Z');
const PERSISTED_MS = Date.parse('2026-06-03T00:00:00Z');
const AHEAD_MS = Date.parse('2100-01-01T00:00:00Z');

test.each([
  ['a board at 1970 uses the last time it knew', BOOT_MS, false, PERSISTED_MS],
  ['a board at 2100 refuses more, never less', AHEAD_MS, false, AHEAD_MS],
  ['once the network has set it, the clock is right, also backwards', SIGNED_MS, true, SIGNED_MS],
])('%s', (_, systemMs, synchronised, expected) => {
  const reading = { systemMs, synchronised, persistedMs: PERSISTED_MS, signedMs: SIGNED_MS };
  expect(judgedNow(reading)).toBe(expected);
});

test('a board that knows nothing but a signature is not earlier than it', () => {
  const reading = { systemMs: BOOT_MS, synchronised: false, persistedMs: 0, signedMs: SIGNED_MS };
  expect(judgedNow(reading)).toBe(SIGNED_MS);
});

test('a clock that nobody vouches for is not kept', () => {
  const reading = { persistedMs: PERSISTED_MS, signedMs: SIGNED_MS };
  expect(timeToPersist({ ...reading, systemMs: AHEAD_MS, synchronised: false })).toBe(PERSISTED_MS);
  expect(timeToPersist({ ...reading, systemMs: AHEAD_MS, synchronised: true })).toBe(AHEAD_MS);
});
