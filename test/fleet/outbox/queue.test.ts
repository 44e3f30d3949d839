import { expect, test } from '@jest/globals';
import { OutboxQueue } from '../../../agent/fleet/outbox/queue.ts';
import type { Priority } from '../../../agent/fleet/outbox/queue.ts';

const entry = (seq: number, priority: Priority, bytes = 10) => ({ seq, bytes, priority });

function queueOf(maxMessages: number, maxBytes: number, kinds: readonly Priority[]) {
  const queue = new OutboxQueue({ maxMessages, maxBytes });
  for (const [index, priority] of kinds.entries()) queue.add(entry(index + 1, priority));
  return queue;
}

test('nothing goes while there is room', () => {
  expect(queueOf(3, 30, ['low', 'high']).victimsOf(entry(3, 'low'))).toEqual([]);
});

test.each<[string, readonly Priority[], ReturnType<typeof entry>, readonly number[]]>([
  ['the oldest of the lowest', ['high', 'low', 'low'], entry(4, 'high'), [2]],
  ['the new one, when it is the lowest', ['high', 'normal', 'high'], entry(4, 'low'), [4]],
  ['the oldest, where all are alike', ['high', 'high', 'high'], entry(4, 'high'), [1]],
  ['as many as its size needs', ['normal', 'low', 'low'], entry(4, 'high', 25), [2, 3, 1]],
  ['only itself, when it never fits', ['low', 'low', 'low'], entry(4, 'high', 99), [4]],
])('full: gives up %s', (_name, kinds, fresh, victims) => {
  expect(queueOf(3, 30, kinds).victimsOf(fresh)).toEqual(victims);
});

test('counts what is in it', () => {
  const queue = queueOf(9, 999, ['low', 'high', 'low']);
  queue.remove([2, 7]);
  expect([queue.messages, queue.bytes, queue.first(5)]).toEqual([2, 20, [1, 3]]);
});
