import { codeOf, messageOf } from '../util/errors.ts';
import { ReportError } from './report-error.ts';
import type { ReportErrorCode } from './report-error.ts';

/** What a failure message needs to know about the connection. Nothing secret. */
export interface ConnectionContext {
  /** Scheme, host and port. */
  readonly broker: string;
  readonly user: string | undefined;
  /** Common name in the client's certificate, where it has one. */
  readonly certified?: string | undefined;
  readonly secure: boolean;
  /** Version that is spoken, or tried. */
  readonly protocol: 4 | 5;
}

/** The code of a CONNACK, PUBACK or DISCONNECT; the MQTT library puts it on the error as a number. */
export function reasonCodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}

/** Refusal of the protocol version: 1 in MQTT 3.1.1, 132 in MQTT 5. */
export function refusesVersion(reasonCode: number | undefined): boolean {
  return reasonCode === 1 || reasonCode === 132;
}

function who({ user, certified }: Pick<ConnectionContext, 'user' | 'certified'>): string {
  if (user !== undefined) return `user ${JSON.stringify(user)}`;
  if (certified === undefined) return 'an anonymous client';
  return `the certificate of ${JSON.stringify(certified)}`;
}

/** CONNACK codes of MQTT 3.1.1 (below 128) and MQTT 5. */
function explainRefusal(reason: number, context: ConnectionContext): ReportError {
  const { broker, user, certified } = context;
  const refused = `${broker} refused ${who(context)}`;
  switch (reason) {
    case 4:
    case 134:
      return new ReportError(
        'NOT_AUTHORIZED',
        `${refused}: wrong user name or password; check --mqtt-user and --mqtt-password-file`,
      );
    case 5:
    case 135:
    case 138:
      return new ReportError(
        'NOT_AUTHORIZED',
        user !== undefined
          ? `${refused}: not authorized; check the password and the broker's list of users`
          : certified === undefined
            ? `${refused}: not authorized; give --mqtt-user and --mqtt-password-file`
            : `${refused}: not authorized; check the broker's list of users`,
      );
    case 2:
    case 133:
      return new ReportError(
        'REFUSED',
        `${broker} refused the client id: allow ids up to 80 bytes`,
      );
    case 1:
    case 132:
      return new ReportError('REFUSED', `${broker} speaks neither MQTT 5 nor 3.1.1: update it`);
    case 3:
    case 136:
    case 137:
    case 139:
    case 141:
    case 159:
      return new ReportError('UNREACHABLE', `${broker} is busy or shutting down: try again later`);
    default:
      return new ReportError('REFUSED', `${broker} refused the connection: reason code ${reason}`);
  }
}

const NETWORK = new Map<string, string>([
  ['ECONNREFUSED', 'connection refused; is the broker running?'],
  ['ENOTFOUND', 'the host name is unknown; check the spelling and DNS'],
  ['EAI_AGAIN', 'the host name could not be looked up; check the network and DNS'],
  ['EHOSTUNREACH', 'no route to the host; check the network'],
  ['ENETUNREACH', 'the network is unreachable; is this device online?'],
  ['ETIMEDOUT', 'no answer; check the address and the firewall'],
]);

const UNTRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
]);

/** The names in the broker's certificate (`DNS:a, IP Address:b`), which Node puts on the error. */
function certifiedNames(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('cert' in error)) return undefined;
  const { cert } = error;
  if (typeof cert !== 'object' || cert === null || !('subjectaltname' in cert)) return undefined;
  return typeof cert.subjectaltname === 'string' ? cert.subjectaltname : undefined;
}

function explainTls(code: string, error: unknown): string | null {
  if (UNTRUSTED.has(code)) {
    return 'its certificate was not issued by a CA that this device trusts; give the right CA with --mqtt-ca FILE';
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = certifiedNames(error);
    return `its certificate is for another host name${names === undefined ? '' : ` (${names})`}; use that name in the URL`;
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return `its certificate has expired, or this device's clock (${new Date().toISOString()}) is wrong`;
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return `its certificate is not valid yet; this device's clock (${new Date().toISOString()}) is probably wrong`;
  }
  if (code.includes('CERTIFICATE_REQUIRED') || code.includes('HANDSHAKE_FAILURE')) {
    return 'it wants a client certificate; give --mqtt-cert FILE and --mqtt-key FILE';
  }
  if (code.includes('ALERT_CERTIFICATE_EXPIRED')) {
    return `it says that the client certificate has expired (${code}); have a new one signed`;
  }
  if (code.startsWith('ERR_SSL_') && /ALERT.*(?:CERTIFICATE|UNKNOWN_CA)/.test(code)) {
    return `it did not accept the client certificate (${code}); check --mqtt-cert`;
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return `TLS failed (${code}); does the broker speak TLS on this port?`;
  }
  return null;
}

/** A socket, TLS or CONNACK error, before the connection stood. */
export function explainConnectFailure(error: unknown, context: ConnectionContext): ReportError {
  const reason = reasonCodeOf(error);
  if (reason !== undefined) return explainRefusal(reason, context);
  const code = codeOf(error) ?? '';
  const failed = (kind: ReportErrorCode, why: string) =>
    new ReportError(kind, `cannot reach ${context.broker}: ${why}`, error);
  const network = NETWORK.get(code);
  if (network !== undefined) return failed('UNREACHABLE', network);
  const tls = explainTls(code, error);
  if (tls !== null) return failed('TLS', tls);
  if (code === 'ECONNRESET' || code === 'EPIPE') return explainClosed(context);
  return failed('UNREACHABLE', messageOf(error));
}

/** The broker hung up before it answered CONNECT. */
export function explainClosed({ broker, secure }: ConnectionContext): ReportError {
  const hint = secure
    ? 'does it speak MQTT over TLS here?'
    : 'is it an MQTT port, and one without TLS (else use mqtts://)?';
  return new ReportError('UNREACHABLE', `cannot reach ${broker}: it hung up at once; ${hint}`);
}

/** The connection ended, or a PUBACK refused, while `topic` was not yet acknowledged. */
export function explainPublishFailure(
  reason: number | undefined,
  topic: string,
  bytes: number,
  context: ConnectionContext,
): ReportError {
  const { broker } = context;
  const refused = `${broker} refused topic ${topic}`;
  switch (reason) {
    case undefined:
      return new ReportError(
        'UNREACHABLE',
        `${broker} hung up before it acknowledged ${topic} (${bytes} bytes): ${
          context.protocol === 5
            ? 'is it still running?'
            : `it stopped, or its ACL refuses ${who(context)}, or it allows no message of this size`
        }`,
      );
    case 135:
      return new ReportError(
        'NOT_AUTHORIZED',
        `${refused}: not authorized; check the ACL for ${who(context)}`,
      );
    case 149:
      return tooLarge(`${refused}: the message of ${bytes} bytes is larger than it allows`);
    case 151:
      return new ReportError('QUOTA', `${refused}: quota exceeded; try again later`);
    case 136:
    case 137:
    case 139:
    case 141:
      return new ReportError(
        'UNREACHABLE',
        `${broker} shut down before it acknowledged ${topic}: try again later`,
      );
    default:
      return new ReportError('REFUSED', `${refused}: reason code ${reason}`);
  }
}

/** A message over a limit; `what` says whose. */
export function tooLarge(what: string): ReportError {
  return new ReportError(
    'TOO_LARGE',
    `${what}: raise the broker's limit (mosquitto: max_packet_size) or benchmark fewer candidates`,
  );
}

/** Silence: nothing came within the time allowed. */
export function explainSilence(broker: string, waitingFor: string, timeoutMs: number): ReportError {
  return new ReportError(
    'TIMEOUT',
    `${broker} gave no answer within ${timeoutMs / 1000} s (${waitingFor}): is it an MQTT broker, and is the link fast enough? --mqtt-timeout SECONDS waits longer`,
  );
}
