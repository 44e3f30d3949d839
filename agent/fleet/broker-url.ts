import { ReportError } from './report-error.ts';

/** Where a broker is. Credentials of the URL are kept apart, so that printing cannot leak them. */
export interface BrokerAddress {
  /** The transport, as the MQTT library calls it. */
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  /** Host name or IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query of a WebSocket URL, otherwise empty. */
  readonly path: string;
  /** Scheme, host and port: what may appear in messages, logs and files. */
  readonly display: string;
}

export interface ParsedBrokerUrl {
  readonly address: BrokerAddress;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

const SCHEMES = new Map<string, { protocol: BrokerAddress['protocol']; port: number }>([
  ['mqtt:', { protocol: 'mqtt', port: 1883 }],
  ['tcp:', { protocol: 'mqtt', port: 1883 }],
  ['mqtts:', { protocol: 'mqtts', port: 8883 }],
  ['ssl:', { protocol: 'mqtts', port: 8883 }],
  ['ws:', { protocol: 'ws', port: 80 }],
  ['wss:', { protocol: 'wss', port: 443 }],
]);

/** Most brokers serve WebSockets at this path; those that do not care accept it too. */
const DEFAULT_WEBSOCKET_PATH = '/mqtt';

/** A URL with everything before its last `@` hidden, also when it is too broken to parse. */
export function redactUrl(text: string): string {
  return text.replace(/^([a-z]+:\/\/)?.*@/is, '$1***@').replace(/\?.*$/s, '?...');
}

function badUrl(text: string, why: string): ReportError {
  return new ReportError('BAD_URL', `${JSON.stringify(redactUrl(text))}: ${why}`);
}

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch {
    // The library's error carries the whole text, password and all: it is not kept as the cause.
    throw badUrl(text, 'not a URL: write mqtt://HOST or mqtts://HOST:PORT');
  }
}

function decode(text: string, part: string, whole: string): string | undefined {
  if (text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw badUrl(whole, `the ${part} has a % that is not an escape: write it as %25`);
  }
}

/**
 * Reads `mqtt://`, `mqtts://`, `tcp://`, `ssl://`, `ws://` or `wss://` with an optional
 * `user:password@`. Throws ReportError BAD_URL, with the credentials hidden.
 */
export function parseBrokerUrl(text: string): ParsedBrokerUrl {
  const url = parse(text);
  const scheme = SCHEMES.get(url.protocol);
  if (scheme === undefined) {
    const known = [...SCHEMES.keys()].map((name) => `${name}//`).join(' ');
    throw badUrl(text, `unknown scheme: use one of ${known}`);
  }
  const rest = `${url.pathname}${url.search}${url.hash}`;
  if (rest.includes('@')) {
    throw badUrl(text, 'an "@" after the host: in a password write / as %2F, ? as %3F, # as %23');
  }
  if (url.hostname === '') throw badUrl(text, 'it names no host');
  if (url.port === '0') throw badUrl(text, 'port 0 cannot be connected to');
  const webSocket = scheme.protocol.startsWith('ws');
  if (!webSocket && rest !== '' && rest !== '/') {
    throw badUrl(text, 'nothing may follow the port: topics are fixed (edgefit/v1/...)');
  }
  const port = url.port === '' ? scheme.port : Number(url.port);
  return {
    address: {
      protocol: scheme.protocol,
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      path: webSocket
        ? `${url.pathname.replace(/^\/?$/, DEFAULT_WEBSOCKET_PATH)}${url.search}`
        : '',
      display: `${scheme.protocol}://${url.hostname}:${port}`,
    },
    user: decode(url.username, 'user name', text),
    password: decode(url.password, 'password', text),
  };
}
