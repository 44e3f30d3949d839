import { expect, test } from '@jest/globals';
import { benchSchema } from '../../../agent/contracts/bench.ts';
import { birthSchema } from '../../../agent/contracts/messages.ts';
import { benchIdOf, benchMessage, birthMessage } from '../../../agent/fleet/protocol/outgoing.ts';
import { TopicError } from '../../../agent/fleet/protocol/topics.ts';
import { benchReport, facts } from '../support/documents.ts';

const now = new Date('2026-03-01T12:00:01.007Z');
const birth = { deviceId: 'pi-7', facts, agent: '0.1.0', session: null, now };

test('the birth is retained and says what the device can run', () => {
  const message = birthMessage(birth);
  expect(message).toMatchObject({
    topic: 'edgefit/v1/d/pi-7/up/birth',
    retain: true,
    schema: 'edgefit/birth/1',
  });
  const document = birthSchema.parse(JSON.parse(message.payload));
  expect(document).toEqual({
    schema: 'edgefit/birth/1',
    deviceId: 'pi-7',
    ts: '2026-03-01T12:00:01.007Z',
    session: null,
    agent: '0.1.0',
    precisions: ['int8', 'fp16', 'fp32'],
    runtimes: ['tflite', 'onnxruntime'],
    accelerators: ['hailo-8l'],
    schemas: ['edgefit/birth/1', 'edgefit/facts/1', 'edgefit/bench/1'],
    facts,
  });
});

test('a reader of births keeps fields that it does not know', () => {
  const document: unknown = JSON.parse(birthMessage(birth).payload);
  expect(birthSchema.parse(Object.assign({}, document, { later: 1 }))).toHaveProperty('later', 1);
});

test.each([['2026-03-01 12:00'], ['2026-03-01T12:00:01Z'], ['2026-03-01T13:00:01.007+01:00']])(
  'a birth at %s is refused: one form of time only',
  (ts) => {
    const document: unknown = JSON.parse(birthMessage(birth).payload);
    expect(birthSchema.safeParse(Object.assign({}, document, { ts })).success).toBe(false);
  },
);

test('the benchmark is not retained and is the report itself', () => {
  const report = benchReport();
  const message = benchMessage('pi-7', report, 'run-1');
  expect(message.topic).toBe('edgefit/v1/d/pi-7/up/bench/run-1');
  expect(message.retain).toBe(false);
  expect(benchSchema.parse(JSON.parse(message.payload))).toEqual(report);
});

test('one report has one id, another report another', () => {
  expect(benchIdOf(benchReport())).toMatch(/^20260301T120000250Z-[0-9a-f]{12}$/);
  expect(benchIdOf(benchReport())).toBe(benchIdOf(benchReport()));
  expect(benchIdOf(benchReport('a'))).not.toBe(benchIdOf(benchReport('b')));
});

test('an id that would leave the topic is refused', () => {
  expect(() => benchMessage('a/b', benchReport())).toThrow(TopicError);
  expect(() => benchMessage('a', benchReport(), '../x')).toThrow(TopicError);
});
