import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { refusalCodes } from '../../../agent/contracts/fleet-request.ts';
import { readIncoming } from '../../../agent/fleet/device/incoming.ts';

const RUNS = 100_000;
const DN = 'edgefit/v1/d/pi-7/dn';
const REQUEST = { schema: 'edgefit/request/1', id: 'r1', replyTo: 'edgefit/v1/c/me/rsp/pi-7/r1' };
const SIGNED = { schema: 'edgefit/signed/1', signed: {}, signatures: [] };

function read(topic: string, payload: unknown, retain = false) {
  const bytes =
    payload instanceof Uint8Array
      ? payload
      : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return readIncoming({ topic, payload: bytes, retain }, 'pi-7');
}

function nested(levels: number): string {
  return `{"schema":"edgefit/signed/1","a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
}

test.each<[string, string, unknown, string]>([
  ['another program', 'other/topic', {}, 'BAD_TOPIC'],
  ['another version', 'edgefit/v2/d/pi-7/dn/twin', SIGNED, 'BAD_TOPIC'],
  ['a topic that devices write', 'edgefit/v1/d/pi-7/up/twin', {}, 'BAD_TOPIC'],
  ['an id with a wildcard', `${DN}/job/a+b`, SIGNED, 'BAD_TOPIC'],
  ['another device', 'edgefit/v1/d/pi-8/dn/twin', SIGNED, 'FOREIGN_DEVICE'],
  ['over 128 KiB', `${DN}/twin`, Buffer.alloc(128 * 1024 + 1, 32), 'TOO_LARGE'],
  ['bytes that are no text', `${DN}/twin`, Buffer.from([0xff, 0xfe]), 'NOT_UTF8'],
  ['half a document', `${DN}/twin`, '{"schema":', 'NOT_JSON'],
  ['a list', `${DN}/twin`, [], 'NOT_JSON'],
  ['33 levels', `${DN}/twin`, nested(33), 'TOO_DEEP'],
  ['60,000 levels', `${DN}/twin`, nested(60_000), 'TOO_DEEP'],
  [
    'a version to come',
    `${DN}/job/j1`,
    { ...SIGNED, schema: 'edgefit/signed/9' },
    'UNKNOWN_SCHEMA',
  ],
  ['a request without an id', `${DN}/req/ping`, { schema: REQUEST.schema }, 'BAD_FIELD'],
  ['a field of the wrong kind', `${DN}/req/logtail`, { ...REQUEST, lines: 'all' }, 'BAD_FIELD'],
])('refused: %s', (_name, topic, payload, code) => {
  expect(read(topic, payload)).toMatchObject({ refused: code });
});

test('a document without signatures goes on, to be refused by name', () => {
  const odd = { schema: { toString: null } };
  for (const document of [{}, { refused: 'x', why: 'y' }, { jobType: 'bench' }, odd]) {
    expect(read(`${DN}/job/j1`, document)).toEqual({ kind: 'job', jobId: 'j1', document });
    expect(read(`${DN}/twin`, document)).toEqual({ kind: 'twin', document });
  }
});

test('a retained request is refused: it would be asked again at every start', () => {
  expect(read(`${DN}/req/ping`, REQUEST, true)).toMatchObject({ refused: 'RETAINED' });
});

test('what is in order', () => {
  expect(read(`${DN}/req/ping`, REQUEST)).toEqual({
    kind: 'request',
    method: 'ping',
    request: REQUEST,
  });
  expect(read(`${DN}/job/j1`, { ...SIGNED, more: 1 })).toMatchObject({
    kind: 'job',
    jobId: 'j1',
    document: { more: 1 },
  });
  expect(read(`${DN}/job/j1`, '')).toEqual({ kind: 'job-cleared', jobId: 'j1' });
  expect(read(`${DN}/twin`, nested(30))).toMatchObject({ kind: 'twin' });
  expect(read('edgefit/v1/g/all/dn/announce', '{}')).toEqual({
    kind: 'announcement',
    group: 'all',
  });
});

test('whatever comes is read or refused with a code, and nothing is thrown', () => {
  const known: readonly string[] = refusalCodes;
  const topics = fc.oneof(
    fc.constantFrom(`${DN}/twin`, `${DN}/job/j1`, `${DN}/req/ping`, 'edgefit/v1/d/pi-7/up/status'),
    fc.string({ maxLength: 60 }),
    fc.string({ maxLength: 20 }).map((id) => `${DN}/job/${id}`),
  );
  const document = fc.oneof(
    fc.constantFrom<object>(REQUEST, SIGNED, {
      schema: 'edgefit/status/1',
      state: 'x',
      session: 1,
    }),
    fc.dictionary(
      fc.constantFrom('schema', 'id', 'replyTo', 'signed', '__proto__'),
      fc.jsonValue(),
    ),
  );
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    document.map((value) => Buffer.from(JSON.stringify(value))),
    // One byte of a good document changed.
    fc.tuple(document, fc.nat(200), fc.nat(255)).map(([value, at, byte]) => {
      const bytes = Buffer.from(JSON.stringify(value));
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  );
  const details = fc.check(
    fc.property(topics, payloads, fc.boolean(), (topic, payload, retain) => {
      const result = readIncoming({ topic, payload, retain }, 'pi-7');
      return 'refused' in result ? known.includes(result.refused) : typeof result.kind === 'string';
    }),
    { numRuns: RUNS },
  );
  expect(details).toMatchObject({ failed: false, numRuns: RUNS });
}, 120_000);
