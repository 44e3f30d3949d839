import type { IPublishPacket } from 'mqtt';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Pace } from '../../../agent/fleet/roster/pace.ts';

const packet = (topic: string, text: string): IPublishPacket => ({
  cmd: 'publish',
  topic,
  payload: Buffer.from(text),
  qos: 1,
  dup: false,
  retain: false,
});

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('of a device that floods the newest of each topic counts, a second later', () => {
  const taken: string[] = [];
  const pace = new Pace(({ topic, payload }) => taken.push(`${topic} ${payload.toString()}`));
  for (let at = 0; at < 100; at += 1) {
    pace.take('a', packet('a/status', String(at)));
    if (at % 10 === 0) pace.take('a', packet('a/card', String(at)));
  }
  pace.take('b', packet('b/status', '0'));
  // Two of every 21 are cards at first: 0, 10.
  expect(taken).toHaveLength(21);
  expect(taken.slice(-3)).toEqual(['a/status 16', 'a/status 17', 'b/status 0']);
  jest.advanceTimersByTime(1000);
  expect(taken.slice(21)).toEqual(['a/card 90', 'a/status 99']);
  // Of a's 110, 20 were taken at once and 2 later.
  expect(pace.left).toBe(88);
  pace.take('a', packet('a/status', '100'));
  expect(taken.at(-1)).toBe('a/status 100');
  expect(jest.getTimerCount()).toBe(1);
  jest.advanceTimersByTime(2000);
  expect(jest.getTimerCount()).toBe(0);
  pace.stop();
});

test('topics that a device makes up do not fill the memory', () => {
  const taken: string[] = [];
  const pace = new Pace(({ topic }) => taken.push(topic));
  for (let at = 0; at < 1000; at += 1) pace.take('a', packet(`a/job/${at}`, ''));
  jest.advanceTimersByTime(1000);
  expect(taken).toHaveLength(20 + 32);
  expect(taken.at(-1)).toBe('a/job/999');
  pace.stop();
});
