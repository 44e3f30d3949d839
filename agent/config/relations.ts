import type { Config } from '../contracts/config.ts';
import { parseBrokerUrl } from '../fleet/broker-url.ts';
import { messageOf } from '../util/errors.ts';
import type { Issue } from './issues.ts';

function at(key: keyof Config['mqtt'], message: string): Issue {
  return { path: ['mqtt', key], message };
}

/** What a schema of single values cannot say: the URL, and keys that need or exclude each other. */
export function checkRelations({ mqtt }: Config): readonly Issue[] {
  const issues: Issue[] = [];
  if (mqtt.reconnectMinSeconds > mqtt.reconnectMaxSeconds) {
    issues.push(at('reconnectMaxSeconds', 'it is below reconnectMinSeconds'));
  }
  if (mqtt.certFile !== undefined && mqtt.keyFile === undefined) {
    issues.push(at('certFile', 'give its key too, with keyFile'));
  }
  if (mqtt.keyFile !== undefined && mqtt.certFile === undefined) {
    issues.push(at('keyFile', 'give its certificate too, with certFile'));
  }
  return [...issues, ...checkUrl(mqtt)];
}

function checkUrl(mqtt: Config['mqtt']): readonly Issue[] {
  if (mqtt.url === undefined) return [];
  try {
    const { address, password } = parseBrokerUrl(mqtt.url);
    if (password !== undefined) {
      return [at('url', 'a password does not belong into the configuration: use passwordFile')];
    }
    const plain = address.protocol === 'mqtt' || address.protocol === 'ws';
    const files = (['caFile', 'certFile', 'keyFile'] as const).filter(
      (key) => mqtt[key] !== undefined,
    );
    const [first] = files;
    if (!plain || first === undefined) return [];
    return [at(first, `${address.display} is without TLS: use ${address.protocol}s:// with it`)];
  } catch (error) {
    return [at('url', messageOf(error))];
  }
}
