import { createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  bitString,
  objectId,
  octetString,
  sequence,
  setOfOne,
  smallInteger,
  tagged,
  utf8String,
} from './der.ts';

const OID = {
  commonName: '2.5.4.3',
  extensionRequest: '1.2.840.113549.1.9.14',
  subjectAltName: '2.5.29.17',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ed25519: '1.3.101.112',
} as const;

/** How a key of this kind signs; `hash` null where the scheme has its own (RFC 8410). */
function signatureOf(key: KeyObject): { readonly oid: string; readonly hash: string | null } {
  if (key.asymmetricKeyType === 'ed25519') return { oid: OID.ed25519, hash: null };
  return { oid: OID.ecdsaWithSha256, hash: 'sha256' };
}

/** The device id as a DNS name too: verifiers look there, and no longer at the common name. */
function altNameAttribute(deviceId: string): Buffer {
  const names = sequence(tagged(2, Buffer.from(deviceId), false));
  const extension = sequence(objectId(OID.subjectAltName), octetString(names));
  return sequence(objectId(OID.extensionRequest), setOfOne(sequence(extension)));
}

/**
 * A certificate request (PKCS#10, RFC 2986) for an ed25519 or ECDSA P-256 private key, as PEM. The
 * common name is the device id, which brokers take as the user name.
 */
export function certificateRequest(privateKey: KeyObject, deviceId: string): string {
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const name = sequence(setOfOne(sequence(objectId(OID.commonName), utf8String(deviceId))));
  const version = smallInteger(0);
  const attributes = tagged(0, altNameAttribute(deviceId), true);
  const info = sequence(version, name, publicKey, attributes);
  const { oid, hash } = signatureOf(privateKey);
  // ECDSA signatures come out of Node as the DER that X.509 wants.
  const signature = sign(hash, info, privateKey);
  const request = sequence(info, sequence(objectId(oid)), bitString(signature));
  const lines = request.toString('base64').match(/.{1,64}/g) ?? [];
  return [
    '-----BEGIN CERTIFICATE REQUEST-----',
    ...lines,
    '-----END CERTIFICATE REQUEST-----',
    '',
  ].join('\n');
}

/** The common name in a request that `certificateRequest` made, or null when it is damaged. */
export function requestedName(pem: string): string | null {
  const request = Buffer.from(pem.replaceAll(/-----[^-]*-----/g, ''), 'base64');
  const type = objectId(OID.commonName);
  const at = request.indexOf(type);
  const [tag = 0, length = 0] = at < 0 ? [] : request.subarray(at + type.length);
  const start = at + type.length + 2;
  const text = request.toString('utf8', start, start + length);
  // Tag and length of ids are one byte each.
  return utf8String(text).equals(Buffer.from([tag, length, ...Buffer.from(text)])) ? text : null;
}
