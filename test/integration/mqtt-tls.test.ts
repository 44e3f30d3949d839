import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { readMqttSettings } from '../../agent/cli/mqtt-options.ts';
import type { MqttOptions } from '../../agent/cli/mqtt-options.ts';
import { publishReport } from '../../agent/fleet/report.ts';
import type { Published } from '../../agent/fleet/report.ts';
import { hasOpenssl, makeCa, makeCertificate } from '../fleet/support/certificates.ts';
import type { CertificateFiles } from '../fleet/support/certificates.ts';
import { benchReport, facts } from '../fleet/support/documents.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import type { Mosquitto } from '../fleet/support/mosquitto.ts';

/** Skipped where mosquitto or openssl is missing. */
const describeTls = hasOpenssl() ? describeWithMosquitto : describe.skip;
const CERTIFICATES_MS = 30_000;

let folder = '';
let certificates: Readonly<
  Record<
    'ca' | 'otherCa' | 'server' | 'elsewhere' | 'expired' | 'client' | 'foreign',
    CertificateFiles
  >
>;

beforeAll(() => {
  if (!hasOpenssl()) return;
  folder = mkdtempSync(join(tmpdir(), 'edgefit-tls-'));
  const ca = makeCa(folder, 'ca');
  const otherCa = makeCa(folder, 'other-ca');
  const local = 'DNS:localhost,IP:127.0.0.1';
  certificates = {
    ca,
    otherCa,
    server: makeCertificate(folder, ca, 'server', local),
    elsewhere: makeCertificate(folder, ca, 'elsewhere', 'DNS:broker.example'),
    expired: makeCertificate(folder, ca, 'expired', local, -1),
    client: makeCertificate(folder, ca, 'pi-7', 'DNS:pi-7'),
    foreign: makeCertificate(folder, otherCa, 'foreign', 'DNS:foreign'),
  };
}, CERTIFICATES_MS);

afterAll(() => {
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

let broker: Mosquitto | undefined;
afterEach(async () => {
  await broker?.stop();
  broker = undefined;
});

async function tlsBroker(server: CertificateFiles, ...lines: readonly string[]): Promise<string> {
  const files = [`cafile ${certificates.ca.cert}`, `certfile ${server.cert}`];
  broker = await startMosquitto([...files, `keyfile ${server.key}`, ...lines]);
  return `127.0.0.1:${broker.port}`;
}

/** From the command's options to the acknowledgement, as `agent bench --mqtt` does it. */
async function report(options: MqttOptions): Promise<Published> {
  const settings = await readMqttSettings(options, {});
  if (settings === null) throw new Error('no --mqtt');
  const { timeoutMs } = settings;
  const what = { deviceId: 'pi-7', facts, report: benchReport(), agent: '0.1.0', timeoutMs };
  return publishReport({ broker: settings.broker, ...what });
}

describeTls('mosquitto and openssl: the certificate of the broker', () => {
  test('from the given CA is trusted, by address and by name', async () => {
    const at = await tlsBroker(certificates.server, 'allow_anonymous true');
    const mqttCa = certificates.ca.cert;
    await expect(report({ mqtt: `mqtts://${at}`, mqttCa })).resolves.toMatchObject({ protocol: 5 });
    const byName = `ssl://${at.replace('127.0.0.1', 'localhost')}`;
    await expect(report({ mqtt: byName, mqttCa })).resolves.toMatchObject({ protocol: 5 });
  });

  test('from another CA is not', async () => {
    const at = await tlsBroker(certificates.server, 'allow_anonymous true');
    const failure = report({ mqtt: `mqtts://${at}`, mqttCa: certificates.otherCa.cert });
    await expect(failure).rejects.toMatchObject({ code: 'TLS', kind: 'failure' });
    await expect(failure).rejects.toThrow('not issued by a CA that this device trusts');
  });

  test('is not trusted by the CAs of the system', async () => {
    const at = await tlsBroker(certificates.server, 'allow_anonymous true');
    const failure = report({ mqtt: `mqtts://${at}` });
    await expect(failure).rejects.toThrow('give the right CA with --mqtt-ca FILE');
  });

  test('for another host name is refused, and names that host', async () => {
    const at = await tlsBroker(certificates.elsewhere, 'allow_anonymous true');
    const mqttCa = certificates.ca.cert;
    const failure = report({ mqtt: `mqtts://${at.replace('127.0.0.1', 'localhost')}`, mqttCa });
    await expect(failure).rejects.toMatchObject({ code: 'TLS' });
    await expect(failure).rejects.toThrow('is for another host name (DNS:broker.example)');
  });

  test('that has expired is refused', async () => {
    const at = await tlsBroker(certificates.expired, 'allow_anonymous true');
    const failure = report({ mqtt: `mqtts://${at}`, mqttCa: certificates.ca.cert });
    await expect(failure).rejects.toMatchObject({ code: 'TLS' });
    await expect(failure).rejects.toThrow('certificate has expired');
  });
});

describeTls('mosquitto and openssl: mutual TLS', () => {
  const MUTUAL = ['require_certificate true', 'use_identity_as_username true'];

  test('the name in the certificate is the user of the ACL', async () => {
    const acl = join(folder, 'acl');
    writeFileSync(acl, 'pattern write edgefit/v1/d/%u/up/#\n');
    const at = await tlsBroker(certificates.server, ...MUTUAL, `acl_file ${acl}`);
    const { cert, key } = certificates.client;
    const files = { mqttCa: certificates.ca.cert, mqttCert: cert, mqttKey: key };
    const published = await report({ mqtt: `mqtts://${at}`, ...files });
    expect(published.topics).toHaveLength(2);
  });

  test('without a client certificate', async () => {
    const at = await tlsBroker(certificates.server, ...MUTUAL);
    const failure = report({ mqtt: `mqtts://${at}`, mqttCa: certificates.ca.cert });
    await expect(failure).rejects.toMatchObject({ code: 'TLS' });
    await expect(failure).rejects.toThrow('it wants a client certificate');
  });

  test('with a client certificate of another CA', async () => {
    const at = await tlsBroker(certificates.server, ...MUTUAL);
    const { cert, key } = certificates.foreign;
    const files = { mqttCa: certificates.ca.cert, mqttCert: cert, mqttKey: key };
    const failure = report({ mqtt: `mqtts://${at}`, ...files });
    await expect(failure).rejects.toMatchObject({ code: 'TLS' });
    await expect(failure).rejects.toThrow('did not accept the client certificate');
  });
});

describeTls('mosquitto and openssl: TLS on one side only', () => {
  test('a plain client at a TLS port', async () => {
    const at = await tlsBroker(certificates.server, 'allow_anonymous true');
    const failure = report({ mqtt: `mqtt://${at}` });
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow('else use mqtts://');
  });

  test('a TLS client at a plain port', async () => {
    broker = await startMosquitto(['allow_anonymous true']);
    const failure = report({ mqtt: `mqtts://127.0.0.1:${broker.port}`, mqttTimeout: '3' });
    await expect(failure).rejects.toMatchObject({ kind: 'failure' });
    await expect(failure).rejects.toThrow(/speak (MQTT over )?TLS/);
  });
});
