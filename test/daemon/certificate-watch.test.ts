import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { resolveBroker } from '../../agent/config/credentials.ts';
import { loadConfig } from '../../agent/config/load.ts';
import { watchCertificates } from '../../agent/daemon/certificate-watch.ts';
import { makeCa, makeCertificate } from '../fleet/support/certificates.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { testIf } from '../support/available.ts';
import { temporaryFolder, until } from './support.ts';

testIf('openssl')('certificates are looked at while a connection lasts', async () => {
  const folder = temporaryFolder();
  const ca = makeCa(folder, 'ca');
  const good = makeCertificate(folder, ca, 'good', 'DNS:pi-7', 365);
  const old = makeCertificate(folder, ca, 'old', 'DNS:pi-7', -1);
  const [cert, key, file] = ['cert.pem', 'key.pem', 'agent.yaml'].map((name) => join(folder, name));
  const put = (from: typeof good) => {
    writeFileSync(String(key), readFileSync(from.key));
    writeFileSync(String(cert), readFileSync(from.cert));
  };
  put(good);
  writeFileSync(
    String(file),
    `mqtt: { url: "mqtts://127.0.0.1:1", certFile: ${cert}, keyFile: ${key} }\n`,
  );
  const loaded = await loadConfig({ file, env: {} });
  const warned: string[] = [];
  let reads = 0;
  const watch = watchCertificates({
    read: () => {
      reads += 1;
      return resolveBroker(loaded, {}, folder);
    },
    warn: ({ problem }) => warned.push(problem),
    everyMs: 20,
  });
  afterThisTest(watch.stop);
  const moreReads = async (count: number) => {
    const before = reads;
    await until('more looks', () => reads >= before + count);
  };
  expect((await watch.read())?.settings.tls?.cert).toBe(readFileSync(good.cert, 'utf8'));
  await moreReads(3);
  expect(warned).toEqual([]);
  // As time does, without a new connection.
  put(old);
  await until('a warning', () => warned.some((line) => line.includes('expired on')));
  await moreReads(3);
  expect(warned.filter((line) => line.includes('expired on'))).toHaveLength(1);
  writeFileSync(String(cert), 'damaged');
  await until('a second one', () => warned.some((line) => line.includes('not a certificate')));
  watch.stop();
  const last = reads;
  await sleep(100);
  expect(reads).toBe(last);
});
