import { createServer } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { checksFor, type DoctorFlags } from '../../agent/cli/doctor-checks.ts';
import { listen, mosquitto } from '../fleet/support/harness.ts';
import { describeWithMosquitto, freePort } from '../fleet/support/mosquitto.ts';

async function broker(flags: DoctorFlags) {
  const io = { stdout: { write: () => true }, stderr: { write: () => true }, env: {} };
  const checks = await checksFor(flags, { io });
  const check = checks.find(({ id }) => id === 'broker');
  if (check === undefined) throw new Error('no check of the broker');
  expect(check.severity).toBe('essential');
  return check.run(new AbortController().signal);
}

describeWithMosquitto('a real broker', () => {
  test('lets us in', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    expect(await broker({ mqtt: `mqtt://127.0.0.1:${port}` })).toMatchObject({
      ok: true,
      found: `mqtt://127.0.0.1:${port} answers (MQTT 5)`,
    });
  });

  test('refuses strangers', async () => {
    const { port } = await mosquitto('allow_anonymous false');
    const finding = await broker({ mqtt: `mqtt://127.0.0.1:${port}` });
    expect(finding).toMatchObject({ ok: false, found: expect.stringContaining('--mqtt-user') });
  });
});

describe('no broker', () => {
  test('nobody listens', async () => {
    const finding = await broker({ mqtt: `mqtt://127.0.0.1:${await freePort()}` });
    expect(finding).toMatchObject({
      ok: false,
      found: expect.stringContaining('connection refused; is the broker running?'),
    });
  });

  test('somebody listens and says nothing: it ends in time', async () => {
    const port = await listen(createServer(() => undefined));
    const start = performance.now();
    const finding = await broker({ mqtt: `mqtt://127.0.0.1:${port}`, mqttTimeout: '0.5' });
    expect(finding.ok).toBe(false);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('a bad URL is refused before anything is checked', async () => {
    await expect(broker({ mqtt: 'http://host' })).rejects.toThrow('unknown scheme');
  });
});
