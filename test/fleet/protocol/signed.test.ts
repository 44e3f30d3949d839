import { describe, expect, test } from '@jest/globals';
import { assert, integer, json, nat, property, uint8Array } from 'fast-check';
import {
  MAX_DOCUMENT_BYTES,
  RefusedDocument,
  signDocument,
  verifyDocument,
} from '../../../agent/fleet/protocol/signed.ts';
import { newKey } from '../../deploy/support/keys.ts';

const [operator, second, stranger] = [newKey(), newKey(), newKey()];
const NOW_MS = Date.parse('2026-06-01T00:00:00Z');

const signed = {
  type: 'job' as const,
  deviceId: 'pi-7',
  counter: 5,
  expires: '2026-06-02T00:00:00Z',
  jobId: 'j1',
  policy: { maxAccuracyDrop: 0.01 },
};

const options = {
  type: 'job' as const,
  deviceId: 'pi-7',
  keyring: { keys: new Map([[operator.keyId, operator.public]]), threshold: 1 },
  nowMs: NOW_MS,
  minCounter: 5,
};

function bytesOf(document: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(document));
}

const good = signDocument(signed, [operator]);

test('a document signed by a trusted key is believed, unknown fields and all', () => {
  const verified = verifyDocument(bytesOf(good), options);
  expect(verified.signed).toEqual(signed);
  expect(verified.keyIds).toEqual([operator.keyId]);
});

test('the order of members and spaces do not matter, the digest stays', () => {
  const turned = { ...good, signed: Object.fromEntries(Object.entries(signed).toReversed()) };
  const text = JSON.stringify(turned, null, 4);
  expect(verifyDocument(Buffer.from(text), options).digest).toBe(
    verifyDocument(bytesOf(good), options).digest,
  );
});

test.each([
  ['without an envelope', signed, {}, 'unsigned'],
  ['by a stranger', signDocument(signed, [stranger]), {}, 'unsigned'],
  ['changed afterwards', { ...good, signed: { ...signed, counter: 6 } }, {}, 'unsigned'],
  ['with a field added', { ...good, signed: { ...signed, extra: 1 } }, {}, 'unsigned'],
  ['for another device', good, { deviceId: 'pi-8' }, 'foreign_device'],
  ['of another kind', good, { type: 'twin' as const }, 'wrong_type'],
  ['after its time', good, { nowMs: Date.parse('2026-06-02T00:00:00Z') }, 'expired'],
  ['that was seen', good, { minCounter: 6 }, 'replayed'],
  ['of no single form', { ...good, signed: { ...signed, jobId: '\ud800' } }, {}, 'malformed'],
  ['of the future', { ...good, schema: 'edgefit/signed/2' }, {}, 'unknown_version'],
  ['without signatures', { ...good, signatures: [] }, {}, 'malformed'],
  ['without a device', { ...good, signed: { ...signed, deviceId: '../x' } }, {}, 'malformed'],
  ['that is an array', [], {}, 'unsigned'],
  ['that is null', null, {}, 'unsigned'],
])('a document %s is refused', (_, document, changed, code) => {
  expect(() => verifyDocument(bytesOf(document), { ...options, ...changed })).toThrow(
    expect.objectContaining({ code }),
  );
});

test('larger than is read, and bytes that are no text', () => {
  expect(() => verifyDocument(new Uint8Array(MAX_DOCUMENT_BYTES + 1), options)).toThrow(
    expect.objectContaining({ code: 'oversized' }),
  );
  expect(() => verifyDocument(new Uint8Array([0xff, 0xfe]), options)).toThrow(
    expect.objectContaining({ code: 'malformed' }),
  );
});

describe('a threshold of two', () => {
  const keys = new Map([operator, second].map((key) => [key.keyId, key.public]));
  const strict = { ...options, keyring: { keys, threshold: 2 } };

  test('takes two keys', () => {
    const document = signDocument(signed, [operator, second]);
    expect(verifyDocument(bytesOf(document), strict).keyIds).toHaveLength(2);
  });

  test('does not take one key twice, nor under two ids', () => {
    const twice = { ...good, signatures: [...good.signatures, ...good.signatures] };
    const code = 'unsigned';
    expect(() => verifyDocument(bytesOf(twice), strict)).toThrow(expect.objectContaining({ code }));
    const alias = new Map([...keys, ['0'.repeat(64), operator.public]]);
    const aliased = {
      ...good,
      signatures: good.signatures.flatMap((one) => [one, { ...one, keyId: '0'.repeat(64) }]),
    };
    const aliasing = { ...strict, keyring: { keys: alias, threshold: 2 } };
    expect(() => verifyDocument(bytesOf(aliased), aliasing)).toThrow(
      expect.objectContaining({ code }),
    );
  });

  test('of zero does not mean anything goes', () => {
    const none = { ...options, keyring: { keys, threshold: 0 } };
    expect(() => verifyDocument(bytesOf(signDocument(signed, [stranger])), none)).toThrow(
      expect.objectContaining({ code: 'unsigned' }),
    );
  });
});

test('whatever comes, it is refused with a code and nothing else is thrown', () => {
  const refused = (payload: Uint8Array) => {
    try {
      verifyDocument(payload, options);
      return false;
    } catch (error) {
      return error instanceof RefusedDocument;
    }
  };
  expect(refused(new Uint8Array())).toBe(true);
  assert(
    property(uint8Array({ maxLength: 300 }), (bytes) => refused(bytes)),
    { numRuns: 20_000 },
  );
  assert(
    property(json({ maxDepth: 4 }), (text) => refused(Buffer.from(text))),
    { numRuns: 20_000 },
  );
  // One byte of a good document changed.
  const base = bytesOf(good);
  assert(
    property(nat(base.length - 1), integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = Uint8Array.from(base);
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      return refused(bytes);
    }),
    { numRuns: 20_000 },
  );
});
