import type { TlsFiles } from '../fleet/broker-link.ts';
import type { BrokerAddress } from '../fleet/broker-url.ts';
import { readCa, readIdentity, SettingError } from '../fleet/setting-files.ts';

/** The options that name files of TLS. */
export interface TlsOptions {
  readonly mqttCa?: string;
  readonly mqttCert?: string;
  readonly mqttKey?: string;
}

/** Reads and checks CA, client certificate and key. Undefined when none is given. */
export async function readTls(
  options: TlsOptions,
  { protocol, display }: BrokerAddress,
): Promise<TlsFiles | undefined> {
  const { mqttCa, mqttCert, mqttKey } = options;
  const given = [
    mqttCa === undefined ? [] : ['--mqtt-ca'],
    mqttCert === undefined ? [] : ['--mqtt-cert'],
    mqttKey === undefined ? [] : ['--mqtt-key'],
  ].flat();
  const [first] = given;
  if (first === undefined) return undefined;
  if (protocol === 'mqtt' || protocol === 'ws') {
    throw new SettingError(first, `${display} is without TLS: use ${protocol}s:// with it`);
  }
  if (mqttCert !== undefined && mqttKey === undefined) {
    throw new SettingError('--mqtt-cert', 'give its key too, with --mqtt-key FILE');
  }
  if (mqttKey !== undefined && mqttCert === undefined) {
    throw new SettingError('--mqtt-key', 'give its certificate too, with --mqtt-cert FILE');
  }
  const ca = mqttCa === undefined ? {} : await readCa('--mqtt-ca', mqttCa);
  if (mqttCert === undefined || mqttKey === undefined) return ca;
  const cert = { setting: '--mqtt-cert', path: mqttCert };
  const key = { setting: '--mqtt-key', path: mqttKey };
  return { ...ca, ...(await readIdentity(cert, key)) };
}
