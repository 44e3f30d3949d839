import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { addMqttOptions, readMqttSettings } from '../../agent/cli/mqtt-options.ts';
import type { MqttOptions } from '../../agent/cli/mqtt-options.ts';
import { hasOpenssl, makeCa } from '../fleet/support/certificates.ts';
import type { CertificateFiles } from '../fleet/support/certificates.ts';

/** Tests with real certificates, skipped with a reason where openssl is missing. */
const describeCertificates = hasOpenssl() ? describe : describe.skip;
const mqtt = 'mqtt://h';
let folder = '';
let ca: CertificateFiles;
let otherKey = '';

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-options-'));
  if (hasOpenssl()) ca = makeCa(folder, 'ca');
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  otherKey = file('other.key', pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('the options of the command line arrive', async () => {
  const command = addMqttOptions(new Command()).exitOverride();
  const password = file('password', 'se cret\n');
  const words = ['--mqtt', 'tcp://h:1', '--mqtt-user', 'u', '--mqtt-password-file', password];
  command.parse([...words, '--mqtt-timeout', '2.5', '--device-id', 'pi-7'], { from: 'user' });
  expect(await readMqttSettings(command.opts<MqttOptions>(), {})).toEqual({
    broker: {
      address: { protocol: 'mqtt', host: 'h', port: 1, path: '', display: 'mqtt://h:1' },
      user: 'u',
      password: 'se cret',
      tls: undefined,
    },
    timeoutMs: 2500,
    deviceId: 'pi-7',
    warnings: [],
  });
});

test('no --mqtt, no report', async () => {
  expect(await readMqttSettings({ deviceId: 'pi-7' }, { EDGEFIT_MQTT_PASSWORD: 'x' })).toBeNull();
});

test('twenty seconds unless told otherwise', async () => {
  expect(await readMqttSettings({ mqtt }, {})).toMatchObject({ timeoutMs: 20_000 });
});

describe('the password', () => {
  const EDGEFIT_MQTT_PASSWORD = 'from-env';
  const url = 'mqtt://u:from-url@h';

  test.each([
    ['of the file wins', { mqtt: url, file: 'from-file\r\n' }, 'from-file'],
    ['keeps its spaces', { mqtt: url, file: ' from file \n\n' }, ' from file \n'],
    ['of the environment comes next', { mqtt: url }, 'from-env'],
  ])(
    '%s',
    async (_name, { mqtt: broker, file: text }: { mqtt: string; file?: string }, expected) => {
      const path = text === undefined ? {} : { mqttPasswordFile: file('password', text) };
      const settings = await readMqttSettings({ mqtt: broker, ...path }, { EDGEFIT_MQTT_PASSWORD });
      expect(settings?.broker).toMatchObject({ user: 'u', password: expected });
    },
  );

  test('of the URL comes last', async () => {
    const settings = await readMqttSettings({ mqtt: url, mqttUser: 'other' }, {});
    expect(settings?.broker).toMatchObject({ user: 'other', password: 'from-url' });
  });

  test.each([
    [url, [expect.stringContaining('can see the password in the --mqtt URL')]],
    ['mqtt://u@h', []],
  ])('in the URL %s is warned about', async (broker, warnings) => {
    const settings = await readMqttSettings({ mqtt: broker }, { EDGEFIT_MQTT_PASSWORD });
    expect(settings?.warnings).toEqual(warnings);
    expect(settings?.warnings.join('')).not.toContain('from-url');
  });

  test('is not told by an error about the URL', async () => {
    const failure = await readMqttSettings({ mqtt: 'mqtt://u:secret@h/topic' }, {}).catch(inspect);
    expect(failure).toContain('--mqtt: \\"mqtt://***@h/topic\\"'.replaceAll('\\', ''));
    expect(failure).not.toContain('secret');
  });
});

describe('refused before the work starts, naming the option', () => {
  test.each<[MqttOptions, string]>([
    [{ mqtt: 'h' }, '--mqtt: "h": not a URL'],
    [{ mqtt, mqttTimeout: '0' }, '--mqtt-timeout: use a number'],
    [{ mqtt, mqttTimeout: 'soon' }, '--mqtt-timeout: use a number'],
    [{ mqtt, mqttTimeout: ' ' }, '--mqtt-timeout: use a number'],
    [{ mqtt, mqttTimeout: 'Infinity' }, '--mqtt-timeout: use a number'],
    [{ mqtt, deviceId: 'a/b' }, '--device-id: "a/b" is no device id'],
    [{ mqttUser: 'u' }, '--mqtt-user: only with --mqtt URL'],
    [{ mqtt: 'mqtt://:pw@h' }, '--mqtt: a password needs a user name'],
    [{ mqtt, mqttPasswordFile: '/missing' }, '--mqtt-password-file: cannot read /missing: no such'],
    [
      { mqtt, mqttUser: 'u', mqttPasswordFile: '/' },
      '--mqtt-password-file: cannot read /: it is a',
    ],
    [{ mqtt, mqttCa: '/missing' }, '--mqtt-ca: mqtt://h:1883 is without TLS: use mqtts://'],
    [{ mqtt: 'mqtts://h', mqttCa: '/missing' }, '--mqtt-ca: cannot read /missing'],
    [{ mqtt: 'mqtts://h', mqttCert: '/x' }, '--mqtt-cert: give its key too'],
    [{ mqtt: 'mqtts://h', mqttKey: '/x' }, '--mqtt-key: give its certificate too'],
  ])('%j', async (options, message) => {
    const failure = readMqttSettings(options, {});
    await expect(failure).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'input' });
    await expect(failure).rejects.toThrow(message);
  });

  test('an empty password file', async () => {
    const mqttPasswordFile = file('empty', '\n');
    const failure = readMqttSettings({ mqtt, mqttUser: 'u', mqttPasswordFile }, {});
    await expect(failure).rejects.toThrow('is empty');
  });

  test('a CA that is no certificate', async () => {
    const mqttCa = file('not.pem', 'hello');
    const failure = readMqttSettings({ mqtt: 'mqtts://h', mqttCa }, {});
    await expect(failure).rejects.toThrow(`--mqtt-ca: ${mqttCa} is not a certificate in PEM form`);
  });

  test('a file far too large', async () => {
    const mqttCa = file('large.pem', 'x'.repeat(1024 * 1024 + 1));
    const failure = readMqttSettings({ mqtt: 'mqtts://h', mqttCa }, {});
    await expect(failure).rejects.toThrow('has over 1048576 bytes');
  });
});

describeCertificates('with certificates (made by openssl)', () => {
  test('a key that is not the certificate’s', async () => {
    const files = { mqttCert: ca.cert, mqttKey: otherKey };
    const failure = readMqttSettings({ mqtt: 'mqtts://h', ...files }, {});
    await expect(failure).rejects.toThrow(`--mqtt-key: ${otherKey} is not the key of ${ca.cert}`);
  });

  test('a certificate in place of the key', async () => {
    const files = { mqttCert: ca.cert, mqttKey: ca.cert };
    const failure = readMqttSettings({ mqtt: 'mqtts://h', ...files }, {});
    await expect(failure).rejects.toThrow('is not a private key without passphrase in PEM form');
  });

  test('certificate, key and CA arrive as text', async () => {
    const files = { mqttCa: ca.cert, mqttCert: ca.cert, mqttKey: ca.key };
    const settings = await readMqttSettings({ mqtt: 'mqtts://h', ...files }, {});
    expect(settings?.broker.tls?.ca).toContain('BEGIN CERTIFICATE');
    expect(settings?.broker.tls?.cert).toContain('BEGIN CERTIFICATE');
    expect(settings?.broker.tls?.key).toContain('PRIVATE KEY');
  });
});
