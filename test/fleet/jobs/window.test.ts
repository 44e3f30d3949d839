import { describe, expect, test } from '@jest/globals';
import { isOpen } from '../../../agent/fleet/jobs/window.ts';

const NIGHT = { cron: '0 2 * * *', durationMinutes: 180, timeZone: 'Europe/Berlin' };

describe('a window', () => {
  test.each([
    // Across midnight, and counted from the day on which it opens.
    [{ cron: '0 22 * * *', durationMinutes: 480, timeZone: 'UTC' }, '2026-03-01T21:59', false],
    [{ cron: '0 22 * * *', durationMinutes: 480, timeZone: 'UTC' }, '2026-03-01T22:00', true],
    [{ cron: '0 22 * * *', durationMinutes: 480, timeZone: 'UTC' }, '2026-03-02T05:59', true],
    [{ cron: '0 22 * * *', durationMinutes: 480, timeZone: 'UTC' }, '2026-03-02T06:00', false],
    [{ cron: '0 22 * * 5', durationMinutes: 480, timeZone: 'UTC' }, '2026-03-07T03:00', true],
    [{ cron: '0 22 * * 5', durationMinutes: 480, timeZone: 'UTC' }, '2026-03-08T03:00', false],
    // An ordinary night: 02:00 to 05:00 is one hour earlier in UTC.
    [NIGHT, '2026-03-28T00:59', false],
    [NIGHT, '2026-03-28T01:00', true],
    [NIGHT, '2026-03-28T03:59', true],
    [NIGHT, '2026-03-28T04:00', false],
    // Summer time begins: 02:00 is 03:00, and 05:00 is 03:00 UTC.
    [NIGHT, '2026-03-29T00:59', false],
    [NIGHT, '2026-03-29T01:00', true],
    [NIGHT, '2026-03-29T02:59', true],
    [NIGHT, '2026-03-29T03:00', false],
    // It opens and closes within the hour that is left out.
    [{ ...NIGHT, cron: '15 2 * * *', durationMinutes: 30 }, '2026-03-29T01:00', false],
    [{ ...NIGHT, cron: '0 2 * * 0' }, '2026-03-29T01:30', true],
    // It ends: 02:00 comes twice, and 05:00 is 04:00 UTC.
    [NIGHT, '2026-10-24T23:59', false],
    [NIGHT, '2026-10-25T00:00', true],
    [NIGHT, '2026-10-25T03:59', true],
    [NIGHT, '2026-10-25T04:00', false],
    [{ ...NIGHT, cron: '0 1 * * *', durationMinutes: 90 }, '2026-10-25T00:29', true],
    [{ ...NIGHT, cron: '0 1 * * *', durationMinutes: 90 }, '2026-10-25T01:10', false],
  ])('%j at %s UTC: %s', (window, at, open) => {
    expect(isOpen(window, Date.parse(`${at}:00.000Z`))).toBe(open);
  });
});
