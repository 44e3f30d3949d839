import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { DashboardConfig } from '../../contracts/dashboard-config.ts';
import {
  operatorKeyOptions,
  operatorOptions,
  type BrokerFlags,
  type KeyFlags,
} from '../fleet/operator.ts';
import { addOne } from '../model/shared.ts';
import { numberWithin, wholeNumber } from '../parsers.ts';

/** What commander makes of the options of `agent dashboard`. */
export interface DashboardFlags extends BrokerFlags, KeyFlags {
  readonly config?: string;
  readonly listen?: string;
  readonly publicUrl?: string;
  readonly insecure?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly state?: string;
  readonly users?: string;
  readonly proxyHeader?: string;
  readonly proxyFrom?: readonly string[];
  readonly proxyOperator?: readonly string[];
  readonly retention?: number;
  readonly maxBytes?: number;
  readonly postgres?: string;
  readonly postgresPasswordFile?: string;
}

const MIN_BYTES = 16 * 1024 * 1024;
const MAX_DAYS = 3660;

/** Adds all of them. */
export function addDashboardOptions(command: Command): Command {
  operatorKeyOptions(operatorOptions(command))
    .option('--config <file>', 'configuration, YAML; options override it')
    .option('--listen <host:port>', 'where to listen (default: 127.0.0.1:8080)', checkListen)
    .option('--public-url <url>', 'how browsers call it, behind a proxy or under a name')
    .option('--tls-cert <file>', 'certificate of the server, PEM; needs --tls-key')
    .option('--tls-key <file>', 'key of the certificate, PEM')
    .option('--insecure', 'listen to a network without TLS: passwords can be read there');
  command
    .option('--proxy-header <name>', 'header in which a reverse proxy names the user')
    .option('--proxy-from <network>', 'address or network of the proxy; may be repeated', addOne)
    .option('--proxy-operator <user>', 'a user of the proxy who may act; may be repeated', addOne);
  return storeOptions(command)
    .option(
      '--retention <days>',
      'how long history is kept',
      numberWithin({ above: 0, max: MAX_DAYS }),
    )
    .option('--max-bytes <bytes>', 'room for it on the disk', wholeNumber({ min: MIN_BYTES }))
    .option('--postgres <url>', 'keep it in PostgreSQL: postgres://USER@HOST/DATABASE')
    .option('--postgres-password-file <file>', 'file with the password, or set PGPASSWORD');
}

/** Where users and history are. */
export function storeOptions(command: Command): Command {
  return command
    .option('--state <folder>', 'users and history (default: dashboard in the state folder)')
    .option('--users <file>', 'the users (default: users.json in --state)');
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, `[::1]:PORT`, or a port alone; null for what is neither. */
export function parseListen(text: string): Address | null {
  const [, v6, name, port = ''] =
    /^(?:\[([0-9A-Fa-f:.]+)\]:|([^:[\]]+):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === '' || Number(port) > 65_535) return null;
  return { host: v6 ?? name ?? '127.0.0.1', port: Number(port) };
}

function checkListen(text: string): string {
  if (parseListen(text) !== null) return text;
  throw new InvalidArgumentError('Write HOST:PORT, such as 127.0.0.1:8080.');
}

/** The configuration with what was given on the command line. */
export function withFlags(config: DashboardConfig, flags: DashboardFlags): DashboardConfig {
  const { mqtt, tls, proxy, history } = config;
  const timeoutSeconds = flags.mqttTimeout === undefined ? mqtt.timeoutSeconds : undefined;
  return {
    ...config,
    mqtt: { ...mqtt, timeoutSeconds },
    listen: flags.listen ?? config.listen,
    publicUrl: flags.publicUrl ?? config.publicUrl,
    insecure: flags.insecure ?? config.insecure,
    tls: { certFile: flags.tlsCert ?? tls.certFile, keyFile: flags.tlsKey ?? tls.keyFile },
    stateDir: flags.state ?? config.stateDir,
    usersFile: flags.users ?? config.usersFile,
    keyFiles: flags.key === undefined ? config.keyFiles : [...flags.key],
    passphraseFile: flags.passphraseFile ?? config.passphraseFile,
    proxy: {
      header: flags.proxyHeader ?? proxy.header,
      from: flags.proxyFrom === undefined ? proxy.from : [...flags.proxyFrom],
      operators: flags.proxyOperator === undefined ? proxy.operators : [...flags.proxyOperator],
    },
    history: {
      ...history,
      days: flags.retention ?? history.days,
      maxBytes: flags.maxBytes ?? history.maxBytes,
      postgresUrl: flags.postgres ?? history.postgresUrl,
      postgresPasswordFile: flags.postgresPasswordFile ?? history.postgresPasswordFile,
    },
  };
}

/** The broker's options, where those of the file stand in for what was not given. */
export function brokerFlags({ mqtt }: DashboardConfig, flags: BrokerFlags): BrokerFlags {
  const fromFile = {
    mqtt: mqtt.url,
    mqttUser: mqtt.user,
    mqttPasswordFile: mqtt.passwordFile,
    mqttCa: mqtt.caFile,
    mqttCert: mqtt.certFile,
    mqttKey: mqtt.keyFile,
    mqttTimeout: mqtt.timeoutSeconds?.toString(),
  };
  const given = Object.entries({ ...fromFile }).filter(([, value]) => value !== undefined);
  const own = Object.entries(flags).filter(
    ([name, value]) => name.startsWith('mqtt') && value !== undefined,
  );
  return Object.fromEntries([...given, ...own]);
}
