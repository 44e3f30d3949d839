import { expect, test } from '@jest/globals';
import { ClassicLevel } from 'classic-level';
import { openOutbox } from '../../../agent/fleet/outbox/outbox.ts';
import { outboxFolder } from '../../../agent/fleet/outbox/store.ts';
import { folderWith } from '../support/harness.ts';

const message = (n: number) => ({
  topic: 'edgefit/v1/d/pi-7/up/event/e',
  retain: false,
  schema: 'edgefit/event/1',
  priority: 'normal' as const,
  document: { n },
});

const limits = { maxMessages: 10, maxBytes: 10_000 };

test.each<[string, string | null]>([
  ['lost', null],
  ['damaged', '{"seq":'],
])('numbers that are %s cost no message: none is written over', async (_how, meta) => {
  const state = folderWith({});
  const first = openOutbox({ state, limits, warn: () => undefined });
  await first.add(message(1));
  await first.add(message(2));
  await first.close();
  const database = new ClassicLevel(outboxFolder(state));
  if (meta === null) await database.del('meta');
  else await database.put('meta', meta);
  await database.close();
  const second = openOutbox({ state, limits, warn: () => undefined });
  await second.add(message(3));
  expect(second.stats()).toMatchObject({ messages: 3 });
  await second.close();
  const third = openOutbox({ state, limits, warn: () => undefined });
  await third.add(message(4));
  expect(third.stats()).toMatchObject({ messages: 4 });
  await third.close();
});
