import { mkdir, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { metadataChecks } from '../../../agent/cli/metadata-check.ts';
import { agingOf } from '../../../agent/deploy/tuf/trusted-targets.ts';
import { Fixture, NOW_MS } from '../support/fixture.ts';

const DAY_MS = 86_400_000;
let fixture: Fixture;

beforeEach(async () => {
  fixture = new Fixture();
  await fixture.start();
});

afterEach(() => fixture.stop());

test('what people sign by hand is asked for before it expires', async () => {
  // Signed on 1 June 2026 for 365 and 180 days.
  const expiries = (await fixture.refresh()).expiries();
  expect(expiries).toEqual({ root: '2027-06-01T00:00:00Z', targets: '2026-11-28T00:00:00Z' });
  expect(agingOf(expiries, NOW_MS)).toEqual([]);
  expect(agingOf(expiries, NOW_MS + 149 * DAY_MS)).toEqual([]);
  expect(agingOf(expiries, NOW_MS + 150 * DAY_MS)).toEqual([
    expect.stringMatching(/^targets\.json expires in 30 days \(2026-11-28T00:00:00Z\): /),
  ]);
  expect(agingOf(expiries, NOW_MS + 320 * DAY_MS)).toEqual([
    expect.stringMatching(/^root\.json expires in 45 days/),
    expect.stringMatching(/^targets\.json has expired/),
  ]);
});

test('agent doctor says so, too', async () => {
  const state = join(fixture.folder, 'state');
  expect(await metadataChecks(state)).toEqual([]);
  await fixture.refresh();
  await mkdir(state);
  await cp(fixture.device, join(state, 'tuf'), { recursive: true });
  const find = async (nowMs: number) => {
    const [check] = await metadataChecks(state, nowMs);
    return check?.run(fixture.signal);
  };
  expect(await find(NOW_MS)).toMatchObject({ ok: true, found: 'good until 2026-11-28T00:00:00Z' });
  // The timestamp has expired long before, as on a device that reaches no repository.
  expect(await find(NOW_MS + 160 * DAY_MS)).toMatchObject({
    ok: false,
    found: expect.stringContaining('expired'),
  });
});
