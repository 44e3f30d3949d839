import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { certificateAge } from '../../agent/config/certificate-age.ts';
import { resolveBroker } from '../../agent/config/credentials.ts';
import { loadConfig } from '../../agent/config/load.ts';
import { connectBroker } from '../../agent/fleet/broker-connection.ts';
import { makeCa, makeCertificate } from '../fleet/support/certificates.ts';
import { folderWith, mosquitto } from '../fleet/support/harness.ts';
import { describeIf, testIf } from '../support/available.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describeIf('openssl')('a certificate', () => {
  const pemFor = (days: number) => {
    const folder = folderWith({});
    const ca = makeCa(folder, 'ca');
    return readFileSync(makeCertificate(folder, ca, 'device', 'DNS:pi-7', days).cert, 'utf8');
  };
  // Made at some moment between these two.
  const dayIn = (days: number, start: number) =>
    new Date(start + days * DAY_MS).toISOString().slice(0, 10);

  test('is warned of in the last 30 days, and when it is over', () => {
    const start = Date.now();
    const pem = pemFor(365);
    expect(certificateAge(pem, start + 300 * DAY_MS)).toBeNull();
    expect(certificateAge(pem, start + 336 * DAY_MS)).toBe(`expires on ${dayIn(365, start)}`);
    expect(certificateAge(pem, start + 366 * DAY_MS)).toBe(`expired on ${dayIn(365, start)}`);
    expect(certificateAge(pem, 0)).toMatch(/^is not valid before .*: is the clock/);
  });

  test('of three days is warned of in the last one', () => {
    const start = Date.now();
    const pem = pemFor(3);
    expect(certificateAge(pem, start + 2 * DAY_MS - HOUR_MS)).toBeNull();
    expect(certificateAge(pem, start + 2 * DAY_MS + HOUR_MS)).toMatch(/^expires on/);
  });
});

testIf('openssl', 'mosquitto')('an expired one is named, here and by the broker', async () => {
  const folder = folderWith({});
  const ca = makeCa(folder, 'ca');
  const server = makeCertificate(folder, ca, 'server', 'IP:127.0.0.1');
  const old = makeCertificate(folder, ca, 'old', 'DNS:pi-7', -1);
  const { port } = await mosquitto(
    `cafile ${ca.cert}`,
    `certfile ${server.cert}`,
    `keyfile ${server.key}`,
    'require_certificate true',
  );
  const file = join(folder, 'agent.yaml');
  const files = `caFile: ${ca.cert}, certFile: ${old.cert}, keyFile: ${old.key}`;
  writeFileSync(file, `mqtt: { url: "mqtts://127.0.0.1:${port}", ${files} }\n`);
  const broker = await resolveBroker(await loadConfig({ file, env: {} }), {}, folder);
  expect(broker?.aging).toEqual([
    expect.stringMatching(/^mqtt\.certFile: .*old\.pem expired on \d{4}-\d\d-\d\d$/),
  ]);
  if (broker === null) return;
  const connecting = connectBroker(broker.settings, { clientId: 'c', timeoutMs: 10_000 });
  await expect(connecting.then(({ publish }) => publish(MESSAGE))).rejects.toThrow(
    /the client certificate has expired/,
  );
});

const MESSAGE = { topic: 't', payload: '{}', retain: false, schema: 's' };
