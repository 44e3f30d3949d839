import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { Aedes } from 'aedes';
import { createRepository } from '../../agent/deploy/tuf/repository.ts';
import { enrol } from '../../agent/fleet/identity/enrol.ts';
import type { EnrolOptions } from '../../agent/fleet/identity/enrol.ts';
import { identityFiles } from '../../agent/fleet/identity/store.ts';
import { watch, yamlFor } from '../daemon/fleet-support.ts';
import { startDaemon, until } from '../daemon/support.ts';
import { newKey } from '../deploy/support/keys.ts';
import { makeCa, makeCertificate } from '../fleet/support/certificates.ts';
import type { CertificateFiles } from '../fleet/support/certificates.ts';
import { afterThisTest, folderWith, listen, mosquitto } from '../fleet/support/harness.ts';
import { startMosquitto } from '../fleet/support/mosquitto.ts';
import { describeIf, testIf } from '../support/available.ts';

jest.setTimeout(30_000);

const openssl = (...args: readonly string[]): string =>
  execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe', timeout: 20_000 });

function optionsFor(state: string, more: Partial<EnrolOptions> = {}): EnrolOptions {
  return { state, deviceId: 'pi-7', keyType: 'ecdsa', force: false, ...more };
}

/** The first root of a new repository. */
async function newRoot(): Promise<string> {
  const folder = join(folderWith({}), 'repository');
  const keys = [newKey()];
  const role = { keys: keys.map((key) => key.public), threshold: 1 };
  const roles = { root: role, targets: role, snapshot: role, timestamp: role };
  await createRepository({ folder, keys, nowMs: Date.now() }, roles);
  return join(folder, 'metadata', '1.root.json');
}

/** What a certificate authority does with the request of a device. */
function signRequest(folder: string, ca: CertificateFiles, request: string): string {
  const cert = join(folder, 'signed.pem');
  openssl(
    'x509',
    '-req',
    '-in',
    request,
    '-CA',
    ca.cert,
    '-CAkey',
    ca.key,
    '-CAcreateserial',
    '-days',
    '2',
    '-out',
    cert,
  );
  return cert;
}

describeIf('openssl')('a certificate request', () => {
  test.each(['ecdsa', 'ed25519'] as const)(
    'with an %s key is in order for openssl',
    async (keyType) => {
      const state = folderWith({});
      const { request } = await enrol(optionsFor(state, { keyType }));
      const text = openssl(
        'req',
        '-in',
        request ?? '',
        '-noout',
        '-verify',
        '-text',
        '-nameopt',
        'RFC2253',
      );
      expect(text).toContain('Subject: CN=pi-7');
      expect(text).toContain('DNS:pi-7');
      expect(text).toContain(keyType === 'ecdsa' ? 'ecdsa-with-SHA256' : 'ED25519');
      const theirs = openssl('req', '-in', request ?? '', '-noout', '-pubkey');
      const ours = createPublicKey(readFileSync(identityFiles(state).keyFile));
      expect(ours.export({ format: 'pem', type: 'spki' })).toBe(theirs);
    },
  );

  test('takes the longest device id there may be', async () => {
    const deviceId = 'x'.repeat(64);
    const { request } = await enrol(optionsFor(folderWith({}), { deviceId }));
    expect(openssl('req', '-in', request ?? '', '-noout', '-verify', '-subject')).toContain(
      deviceId,
    );
  });
});

describeIf('openssl')('enrolling', () => {
  test('again changes nothing; another identity needs --force', async () => {
    const state = folderWith({});
    const first = await enrol(optionsFor(state));
    expect(first.written).toHaveLength(3);
    expect(statSync(identityFiles(state).keyFile).mode & 0o777).toBe(0o600);
    const key = readFileSync(identityFiles(state).keyFile, 'utf8');
    expect((await enrol(optionsFor(state))).written).toEqual([]);
    await expect(enrol(optionsFor(state, { deviceId: 'pi-8' }))).rejects.toMatchObject({
      code: 'EXISTS',
    });
    await expect(enrol(optionsFor(state, { user: 'pi-7' }))).rejects.toMatchObject({
      code: 'EXISTS',
    });
    expect(readFileSync(identityFiles(state).keyFile, 'utf8')).toBe(key);
    await enrol(optionsFor(state, { deviceId: 'pi-8', force: true }));
    expect(readFileSync(identityFiles(state).keyFile, 'utf8')).not.toBe(key);
  });

  test('mends a damaged name and leaves the key as it is', async () => {
    const state = folderWith({});
    const { keyFile, nameFile } = identityFiles(state);
    await enrol(optionsFor(state));
    const [key, name] = [keyFile, nameFile].map((path) => readFileSync(path, 'utf8'));
    writeFileSync(nameFile, '{"v":1,');
    expect((await enrol(optionsFor(state))).written).toEqual([nameFile]);
    expect([keyFile, nameFile].map((path) => readFileSync(path, 'utf8'))).toEqual([key, name]);
  });

  test('where the name is damaged, makes no other device of this one', async () => {
    const state = folderWith({});
    const { nameFile, requestFile, certFile } = identityFiles(state);
    const { request } = await enrol(optionsFor(state));
    const name = readFileSync(nameFile, 'utf8');
    const damage = () => writeFileSync(nameFile, '{"v":1,');
    damage();
    const exists = { code: 'EXISTS', message: expect.stringContaining('enrolled as pi-7 in') };
    await expect(enrol(optionsFor(state, { deviceId: 'pi-8' }))).rejects.toMatchObject(exists);
    await expect(enrol(optionsFor(state, { user: 'pi-7' }))).rejects.toMatchObject(exists);
    const unnamed = optionsFor(state, { deviceId: 'edgefit-abc', isDefaultId: true });
    expect(await enrol(unnamed)).toMatchObject({ deviceId: 'pi-7', written: [nameFile] });
    expect(readFileSync(nameFile, 'utf8')).toBe(name);
    // The certificate says it where the request is lost too.
    const folder = folderWith({});
    const cert = signRequest(folder, makeCa(folder, 'ca'), request ?? '');
    await enrol(optionsFor(state, { cert }));
    expect(existsSync(certFile)).toBe(true);
    damage();
    writeFileSync(requestFile, 'damaged');
    await expect(enrol(optionsFor(state, { deviceId: 'pi-8' }))).rejects.toMatchObject(exists);
  });

  test('where the name of a user is damaged, asks for it', async () => {
    const state = folderWith({});
    const { nameFile, passwordFile, keyFile } = identityFiles(state);
    for (const password of ['secret', undefined]) {
      const options = optionsFor(state, { user: 'u7', password });
      /* oxlint-disable no-await-in-loop -- with a password here, then with one elsewhere */
      await enrol({ ...options, force: true });
      const name = readFileSync(nameFile, 'utf8');
      writeFileSync(nameFile, '{"v":1,');
      await expect(enrol(optionsFor(state))).rejects.toMatchObject({
        code: 'DAMAGED',
        message: expect.stringContaining('give --user'),
      });
      expect(existsSync(keyFile)).toBe(false);
      const again = await enrol(optionsFor(state, { user: 'u7' }));
      /* oxlint-enable no-await-in-loop */
      expect(again.written).toEqual([nameFile]);
      expect(readFileSync(nameFile, 'utf8')).toBe(name);
      expect(existsSync(passwordFile)).toBe(password !== undefined);
    }
  });

  test('as something else leaves nothing of what was before', async () => {
    const state = folderWith({});
    const files = identityFiles(state);
    await enrol(optionsFor(state, { user: 'pi-7', password: 'secret' }));
    await enrol(optionsFor(state, { force: true }));
    expect(existsSync(files.passwordFile)).toBe(false);
    expect(existsSync(files.keyFile)).toBe(true);
    await enrol(optionsFor(state, { user: 'pi-7', force: true }));
    expect([files.keyFile, files.requestFile, files.passwordFile].filter(existsSync)).toEqual([]);
  });

  test('takes the first root once, and another one only where that is asked for', async () => {
    const [first, other] = [await newRoot(), await newRoot()];
    const state = folderWith({});
    const { rootFile, firstRootFile, keyFile } = identityFiles(state);
    await enrol(optionsFor(state, { root: first }));
    const key = readFileSync(keyFile, 'utf8');
    expect(readFileSync(rootFile, 'utf8')).toBe(readFileSync(first, 'utf8'));
    await expect(enrol(optionsFor(state, { root: other }))).rejects.toMatchObject({
      code: 'EXISTS',
      message: expect.stringMatching(/trusts another root than .*--replace-root/),
    });
    expect(readFileSync(rootFile, 'utf8')).toBe(readFileSync(first, 'utf8'));
    const { written } = await enrol(optionsFor(state, { root: other, replaceRoot: true }));
    expect(written).toEqual([rootFile, firstRootFile]);
    expect(readFileSync(rootFile, 'utf8')).toBe(readFileSync(other, 'utf8'));
    expect(readFileSync(keyFile, 'utf8')).toBe(key);
  });

  test.each([
    ['no JSON', 'hello', 'is no TUF root'],
    ['other metadata', '{"signed":{"_type":"targets"},"signatures":[]}', 'is no TUF root'],
    ['a root that others signed', '', 'is not signed by enough of the keys'],
    ['something endless', '/dev/zero', 'is no TUF root: it has over'],
  ])('keeps the root it trusts where the new one is %s', async (name, content, why) => {
    const [first, other] = [await newRoot(), await newRoot()];
    const signed = JSON.parse(readFileSync(other, 'utf8')) as { signed: { version: number } };
    signed.signed.version += 1;
    const text = name === 'a root that others signed' ? JSON.stringify(signed) : content;
    const bad = content.startsWith('/')
      ? content
      : join(folderWith({ 'bad.json': text }), 'bad.json');
    const state = folderWith({});
    await enrol(optionsFor(state, { root: first }));
    for (const more of [{ replaceRoot: true }, { force: true }]) {
      // oxlint-disable-next-line no-await-in-loop -- two
      await expect(enrol(optionsFor(state, { root: bad, ...more }))).rejects.toMatchObject({
        code: 'BAD_ROOT',
        kind: 'input',
        message: expect.stringContaining(`${bad} ${why}`),
      });
    }
    expect(readFileSync(identityFiles(state).rootFile, 'utf8')).toBe(readFileSync(first, 'utf8'));
  });

  test('the same first root is no other one after the keys have changed', async () => {
    const [root, second, other] = [await newRoot(), await newRoot(), await newRoot()];
    const state = folderWith({});
    const options = optionsFor(state, { root });
    await enrol(options);
    const { rootFile } = identityFiles(state);
    // As a refresh leaves it after a rotation.
    writeFileSync(rootFile, readFileSync(second));
    expect((await enrol(options)).written).toEqual([]);
    expect(readFileSync(rootFile, 'utf8')).toBe(readFileSync(second, 'utf8'));
    const another = optionsFor(state, { root: other });
    await expect(enrol(another)).rejects.toMatchObject({ code: 'EXISTS' });
    await enrol({ ...options, force: true });
    expect(readFileSync(rootFile, 'utf8')).toBe(readFileSync(root, 'utf8'));
  });

  test('refuses the certificate of another key', async () => {
    const folder = folderWith({});
    const ca = makeCa(folder, 'ca');
    const other = makeCertificate(folder, ca, 'other', 'DNS:other');
    await expect(enrol(optionsFor(folderWith({}), { cert: other.cert }))).rejects.toMatchObject({
      code: 'BAD_CERTIFICATE',
    });
  });
});

testIf('openssl', 'mosquitto')(
  'an enrolled device connects by its certificate, as itself, and by a renewed one',
  async () => {
    const folder = folderWith({});
    const ca = makeCa(folder, 'ca');
    const server = makeCertificate(folder, ca, 'server', 'IP:127.0.0.1');
    const admin = makeCertificate(folder, ca, 'admin', 'DNS:admin');
    const acl = join(folder, 'acl');
    writeFileSync(
      acl,
      'user admin\ntopic readwrite edgefit/v1/#\npattern write edgefit/v1/d/%u/up/#\npattern read edgefit/v1/d/%u/dn/#\n',
    );
    const broker = await mosquitto(
      `cafile ${ca.cert}`,
      `certfile ${server.cert}`,
      `keyfile ${server.key}`,
      'require_certificate true',
      'use_identity_as_username true',
      `acl_file ${acl}`,
    );
    const state = folderWith({});
    const { request } = await enrol(optionsFor(state, { ca: ca.cert }));
    await enrol(optionsFor(state, { cert: signRequest(folder, ca, request ?? '') }));
    const url = `mqtts://127.0.0.1:${broker.port}`;
    const read = (path: string) => readFileSync(path);
    const watcher = await watch(broker.port, url, {
      ca: read(ca.cert),
      cert: read(admin.cert),
      key: read(admin.key),
    });
    // No device id, no files: all of it comes from the identity.
    const yaml = `mqtt:\n  url: ${url}\n  reconnectMinSeconds: 0.05\n  reconnectMaxSeconds: 1\n`;
    const { keyFile } = identityFiles(state);
    chmodSync(keyFile, 0o644);
    const { log } = startDaemon(yaml, { state });
    const online = await watcher.find('/pi-7/up/status');
    expect(online.document).toMatchObject({ state: 'online', deviceId: 'pi-7' });
    expect(log()).toContain(`everybody may read ${keyFile}`);

    // Another CA, as when the one before has run out: enrolling is enough, nobody restarts anything.
    const key = readFileSync(keyFile, 'utf8');
    await broker.stop();
    const newCa = makeCa(folder, 'new-ca');
    const newServer = makeCertificate(folder, newCa, 'new-server', 'IP:127.0.0.1');
    await enrol(
      optionsFor(state, { cert: signRequest(folder, newCa, request ?? ''), ca: newCa.cert }),
    );
    expect(readFileSync(keyFile, 'utf8')).toBe(key);
    const again = await startMosquitto(
      [
        `cafile ${newCa.cert}`,
        `certfile ${newServer.cert}`,
        `keyfile ${newServer.key}`,
        'require_certificate true',
        'use_identity_as_username true',
        `acl_file ${acl}`,
      ],
      broker.port,
    );
    afterThisTest(again.stop);
    await until('a connection by the new one', () => log().split('"msg":"online"').length > 2);
  },
);

test('falls back to MQTT 3.1.1 where the broker speaks nothing newer', async () => {
  const broker = await Aedes.createBroker();
  const port = await listen(createServer(broker.handle));
  const watcher = await watch(port, undefined, { protocolVersion: 4 });
  const daemon = startDaemon(yamlFor(port));
  await watcher.find('/pi-7/up/status', ({ document }) => document['state'] === 'online');
  await watcher.find('/pi-7/up/twin');
  await until('the log', () => daemon.log().includes('"protocol":4'));
  const request = { schema: 'edgefit/request/1', id: 'r1', replyTo: 'edgefit/v1/c/me/rsp/pi-7/r1' };
  await watcher.client.publishAsync('edgefit/v1/d/pi-7/dn/req/health', JSON.stringify(request), {
    qos: 1,
  });
  const answer = await watcher.find('/rsp/pi-7/r1');
  expect(answer.document).toMatchObject({
    ok: true,
    result: { connects: 1, outbox: { messages: 0 } },
  });
  await new Promise<void>((resolve) => {
    broker.close(() => resolve());
  });
});
