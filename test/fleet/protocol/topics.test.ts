import { describe, expect, test } from '@jest/globals';
import { assert, property, string, stringMatching } from 'fast-check';
import {
  isId,
  parseTopic,
  TopicError,
  topicFilter,
  topicFor,
} from '../../../agent/fleet/protocol/topics.ts';

const device = 'edgefit-0123456789ab';
const CASES = [
  ['status', topicFor('status', { device }), `edgefit/v1/d/${device}/up/status`],
  ['birth', topicFor('birth', { device }), `edgefit/v1/d/${device}/up/birth`],
  ['reportedTwin', topicFor('reportedTwin', { device }), `edgefit/v1/d/${device}/up/twin`],
  ['desiredTwin', topicFor('desiredTwin', { device }), `edgefit/v1/d/${device}/dn/twin`],
  ['job', topicFor('job', { device, job: 'j.1' }), `edgefit/v1/d/${device}/dn/job/j.1`],
  ['execution', topicFor('execution', { device, job: 'j' }), `edgefit/v1/d/${device}/up/job/j`],
  ['bench', topicFor('bench', { device, bench: 'b_1' }), `edgefit/v1/d/${device}/up/bench/b_1`],
  [
    'telemetry',
    topicFor('telemetry', { device, stream: 'host' }),
    `edgefit/v1/d/${device}/up/tele/host`,
  ],
  ['event', topicFor('event', { device, event: 'a-b' }), `edgefit/v1/d/${device}/up/event/a-b`],
  [
    'request',
    topicFor('request', { device, method: 'ping' }),
    `edgefit/v1/d/${device}/dn/req/ping`,
  ],
  [
    'controllerStatus',
    topicFor('controllerStatus', { controller: 'c1' }),
    'edgefit/v1/c/c1/status',
  ],
  [
    'response',
    topicFor('response', { controller: 'c1', device: 'd1', request: 'r1' }),
    'edgefit/v1/c/c1/rsp/d1/r1',
  ],
  ['announcement', topicFor('announcement', { group: 'g' }), 'edgefit/v1/g/g/dn/announce'],
  ['rollout', topicFor('rollout', { rollout: 'r' }), 'edgefit/v1/r/r/state'],
] as const;

test.each(CASES)('%s: built and read back', (kind, topic, expected) => {
  expect(topic).toBe(expected);
  expect(parseTopic(topic)?.kind).toBe(kind);
});

test('a parsed topic names its ids', () => {
  expect(parseTopic('edgefit/v1/d/pi-7/up/bench/b.1')).toEqual({
    kind: 'bench',
    ids: { device: 'pi-7', bench: 'b.1' },
  });
});

test.each([
  ['', 'empty'],
  ['.', 'this folder'],
  ['..', 'the folder above'],
  ['a/b', 'slash'],
  ['+', 'single-level wildcard'],
  ['#', 'multi-level wildcard'],
  ['a b', 'space'],
  ['é', 'not ASCII'],
  ['a\u0000', 'NUL'],
  ['a\n', 'line feed'],
  ['x'.repeat(65), 'too long'],
])('an id %j is refused (%s)', (id) => {
  expect(isId(id)).toBe(false);
  expect(() => topicFor('birth', { device: id })).toThrow(TopicError);
});

test('64 characters are an id', () => {
  expect(isId('x'.repeat(64))).toBe(true);
  expect(['...', '.a', 'a..'].map(isId)).toEqual([true, true, true]);
});

test('telemetry has three streams and no more', () => {
  expect(() => topicFor('telemetry', { device, stream: 'gpu' })).toThrow('use host, infer, agent');
  expect(parseTopic('edgefit/v1/d/a/up/tele/gpu')).toBeNull();
});

test.each([
  'edgefit/v2/d/a/up/birth',
  'edgefit/v1/d/a/up',
  'edgefit/v1/d/a/up/birth/more',
  'edgefit/v1/d//up/birth',
  'edgefit/v1/d/+/up/birth',
  'edgefit/v1',
  'other/v1/d/a/up/birth',
  '',
])('%j is no topic of ours', (topic) => {
  expect(parseTopic(topic)).toBeNull();
});

describe('filters', () => {
  test('leave open what is not given', () => {
    expect(topicFilter('birth')).toBe('edgefit/v1/d/+/up/birth');
    expect(topicFilter('bench', { device: 'a' })).toBe('edgefit/v1/d/a/up/bench/+');
  });

  test('refuse a bad id', () => {
    expect(() => topicFilter('bench', { device: '#' })).toThrow(TopicError);
  });
});

test('any text is parsed without a throw, and any valid id comes back', () => {
  assert(
    property(string(), (text) => {
      parseTopic(text);
      parseTopic(`edgefit/v1/d/${text}/up/birth`);
    }),
  );
  assert(
    property(stringMatching(/^[A-Za-z0-9._-]{1,64}$/).filter(isId), (id) => {
      expect(parseTopic(topicFor('job', { device: id, job: id }))).toEqual({
        kind: 'job',
        ids: { device: id, job: id },
      });
    }),
  );
});
