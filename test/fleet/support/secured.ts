import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aclFile, type Roles } from '../../../agent/fleet/access/acl.ts';
import { brokerConfig } from '../../../agent/fleet/access/broker-config.ts';
import { changeCrl, type CrlFiles } from '../../../agent/fleet/access/crl.ts';
import { makeCa, makeCertificate, type CertificateFiles } from './certificates.ts';
import { afterThisTest } from './harness.ts';
import { startMosquitto } from './mosquitto.ts';

export interface SecuredBroker {
  readonly url: string;
  readonly port: number;
  readonly caFile: string;
  readonly aclFile: string;
  /** Of certificates that are withdrawn. */
  readonly list: CrlFiles;
  readonly pid: number | undefined;
  /** A certificate whose common name is the user of the ACL. */
  readonly certificateOf: (name: string) => CertificateFiles;
}

/** These are of a machine of its own: where it listens, and where it keeps what is retained. */
const ELSEWHERE = /^(listener|persistence|persistent_client_expiration|persistence_location) /;

/** A mosquitto with TLS and the access list that `agent fleet acl` makes. */
export async function securedMosquitto(folder: string, roles: Roles): Promise<SecuredBroker> {
  const ca = makeCa(folder, 'ca');
  makeCertificate(folder, ca, 'broker', 'DNS:localhost,IP:127.0.0.1');
  const acl = join(folder, 'acl');
  writeFileSync(acl, aclFile(roles, []), { mode: 0o600 });
  const list = { crl: join(folder, 'crl.pem'), caCert: ca.cert, caKey: ca.key };
  await changeCrl(list, {}, new Date());
  const config = brokerConfig({ identity: 'certificate', folder, port: 0, crl: true });
  const lines = config.split('\n').filter((line) => !ELSEWHERE.test(line));
  const { port, stop, process: broker } = await startMosquitto(lines);
  afterThisTest(stop);
  return {
    url: `mqtts://localhost:${port}`,
    port,
    caFile: ca.cert,
    aclFile: acl,
    list,
    pid: broker.pid,
    certificateOf: (name) => makeCertificate(folder, ca, name, `DNS:${name}`),
  };
}
