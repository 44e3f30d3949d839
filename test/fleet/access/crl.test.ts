import { readFileSync } from 'node:fs';
import { expect, jest, test } from '@jest/globals';
import { connectAsync } from 'mqtt';
import { run } from '../../cli/support.ts';
import { temporaryFolder } from '../../daemon/support.ts';
import { available } from '../../support/available.ts';
import { makeCa, makeCertificate, type CertificateFiles } from '../support/certificates.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';
import { securedMosquitto, type SecuredBroker } from '../support/secured.ts';

jest.setTimeout(60_000);

async function site() {
  const folder = temporaryFolder();
  const roles = { operators: ['ann'], dashboards: [], controllers: [] };
  const broker = await securedMosquitto(folder, roles);
  const ann = broker.certificateOf('ann');
  const env = {
    EDGEFIT_MQTT_URL: broker.url,
    EDGEFIT_MQTT_CA_FILE: broker.caFile,
    EDGEFIT_MQTT_CERT_FILE: ann.cert,
    EDGEFIT_MQTT_KEY_FILE: ann.key,
    EDGEFIT_STATE_DIR: temporaryFolder(),
    USER: 'ann',
  };
  const { crl, caCert, caKey } = broker.list;
  const list = ['--crl', crl, '--ca-cert', caCert, '--ca-key', caKey];
  const files = ['--acl', broker.aclFile, '--reload', `kill -HUP ${broker.pid}; sleep 0.5`];
  const revoke = (id: string, ...args: readonly string[]) =>
    run(['fleet', 'revoke', id, ...files, ...args], { env });
  return { folder, broker, list, revoke };
}

/** Whether the broker lets a certificate in at all. */
async function isLetIn({ port, caFile }: SecuredBroker, { cert, key }: CertificateFiles) {
  try {
    const client = await connectAsync({
      protocol: 'mqtts',
      host: 'localhost',
      port,
      ca: readFileSync(caFile),
      cert: readFileSync(cert),
      key: readFileSync(key),
      reconnectPeriod: 0,
      connectTimeout: 20_000,
    });
    await client.endAsync();
    return true;
  } catch {
    // Whatever TLS says.
    return false;
  }
}

describeWithMosquitto('certificates that are withdrawn', () => {
  const testHere = available('openssl') ? test : test.skip;

  testHere('are turned away by the broker, each until it is let in again', async () => {
    const { broker, list, revoke } = await site();
    const [one, two] = [broker.certificateOf('pi-1'), broker.certificateOf('pi-2')];
    const letIn = () => Promise.all([one, two].map((files) => isLetIn(broker, files)));
    expect(await letIn()).toEqual([true, true]);
    const first = await revoke('pi-1', ...list, '--certificate', one.cert);
    expect([first.code, first.out]).toEqual([0, 'pi-1 is shut out\n']);
    expect(await letIn()).toEqual([false, true]);
    await revoke('pi-2', ...list, '--certificate', two.cert);
    expect(await letIn()).toEqual([false, false]);
    const undone = await revoke('pi-1', '--undo', ...list, '--certificate', one.cert);
    expect(undone.out).toBe('pi-1 is let in again\n');
    expect(await letIn()).toEqual([true, false]);
  });

  testHere('have to be of this CA, and nothing is changed where they are not', async () => {
    const { folder, broker, list, revoke } = await site();
    const before = readFileSync(broker.list.crl, 'utf8');
    const acl = readFileSync(broker.aclFile, 'utf8');
    const stranger = makeCertificate(temporaryFolder(), makeCa(folder, 'other'), 'pi-1', 'DNS:x');
    const foreign = await revoke('pi-1', ...list, '--certificate', stranger.cert);
    expect([foreign.code, foreign.err]).toEqual([2, expect.stringContaining('was not issued by')]);
    const half = await revoke('pi-1', '--crl', broker.list.crl);
    expect([half.code, half.err]).toEqual([
      2,
      expect.stringContaining('--crl needs --certificate, --ca-cert and --ca-key'),
    ]);
    const wrong = broker.certificateOf('pi-1');
    const args = ['--crl', broker.list.crl, '--ca-cert', broker.list.caCert];
    const other = await revoke('pi-1', ...args, '--ca-key', wrong.key, '--certificate', wrong.cert);
    expect([other.code, other.err.split('\n').length]).toEqual([2, 2]);
    expect(readFileSync(broker.list.crl, 'utf8')).toBe(before);
    expect(readFileSync(broker.aclFile, 'utf8')).toBe(acl);
  });
});
