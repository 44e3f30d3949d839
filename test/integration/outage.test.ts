import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, jest, test } from '@jest/globals';
import { parseBrokerUrl } from '../../agent/fleet/broker-url.ts';
import { startDevice } from '../../agent/fleet/device/device.ts';
import type { Device } from '../../agent/fleet/device/device.ts';
import { noJobs } from '../../agent/fleet/device/jobs-port.ts';
import { refuse } from '../../agent/fleet/device/refusals.ts';
import type { OutboxMessage } from '../../agent/fleet/outbox/outbox.ts';
import type { QueueLimits } from '../../agent/fleet/outbox/queue.ts';
import { watch } from '../daemon/fleet-support.ts';
import { until } from '../daemon/support.ts';
import { cutter } from '../fleet/support/cutter.ts';
import { facts } from '../fleet/support/documents.ts';
import { afterThisTest, folderWith, mosquitto } from '../fleet/support/harness.ts';
import { describeWithMosquitto, freePort } from '../fleet/support/mosquitto.ts';

jest.setTimeout(60_000);

const CUTS = 50;
const PER_CUT = 6;

function deviceAt(port: number, state: string, limits?: Partial<QueueLimits>): Promise<Device> {
  return startDevice({
    connect: {
      broker: { address: parseBrokerUrl(`mqtt://127.0.0.1:${port}`).address },
      protocols: [5, 4],
      keepAliveSeconds: 30,
      expirySeconds: 3600,
      timeoutMs: 5000,
      backoff: { minMs: 20, maxMs: 100 },
    },
    deviceId: 'pi-7',
    agent: '0.1.0',
    bootId: null,
    state,
    outboxLimits: { maxMessages: 10_000, maxBytes: 1024 ** 3, ...limits },
    facts: async () => facts,
    tags: [],
    verify: async () => refuse('UNVERIFIED', 'no keys'),
    keyIds: () => [],
    jobs: noJobs,
    answers: () => ({}),
    onAnnouncement: () => undefined,
    onSettings: () => undefined,
    log: { info: () => undefined, warn: () => undefined },
  });
}

const event = (n: number, priority: OutboxMessage['priority'] = 'high'): OutboxMessage => ({
  topic: 'edgefit/v1/d/pi-7/up/event/test',
  retain: false,
  schema: 'edgefit/test/1',
  priority,
  document: { n },
});

interface Delivered {
  readonly n: number;
  readonly id: string;
  readonly seq: number;
  readonly replay: boolean;
}

function delivered(document: Readonly<Record<string, unknown>>): Delivered {
  const { n, delivery } = document as { n: number; delivery: Omit<Delivered, 'n'> };
  return { n, ...delivery };
}

describeWithMosquitto('an outage', () => {
  test(`${CUTS} cuts during traffic: nothing is lost or out of order, duplicates keep their id`, async () => {
    const broker = await mosquitto('allow_anonymous true', 'max_queued_messages 0');
    const watcher = await watch(broker.port);
    const link = await cutter(broker.port);
    const device = await deviceAt(link.port, folderWith({}));
    afterThisTest(device.stop);
    const ids: string[] = [];
    for (let cut = 0; cut < CUTS; cut += 1) {
      /* oxlint-disable no-await-in-loop -- traffic, then a cut in the middle of it */
      // A new one: a session takes a moment to notice that its line is gone.
      await until('a connection', () => device.session.connects() > cut && device.session.online());
      for (let n = 0; n < PER_CUT; n += 1) {
        ids.push(await device.outbox.add(event(ids.length)));
        if (n === cut % PER_CUT) link.cut();
      }
      /* oxlint-enable no-await-in-loop */
    }
    await until('everything to be sent', () => device.outbox.stats().messages === 0, 30_000);
    const arrived = () =>
      watcher.seen
        .filter(({ topic }) => topic.endsWith('/event/test'))
        .map((one) => delivered(one.document));
    await until('the last one', () => arrived().some(({ n }) => n === ids.length - 1));
    const firsts = new Map<string, Delivered>();
    for (const one of arrived()) if (!firsts.has(one.id)) firsts.set(one.id, one);
    // In the order of their first arrival they are exactly what was sent, in that order.
    expect([...firsts.keys()]).toEqual(ids);
    expect([...firsts.values()].map(({ n }) => n)).toEqual(ids.map((_id, n) => n));
    for (const one of arrived())
      expect(firsts.get(one.id)).toMatchObject({ n: one.n, seq: one.seq });
    expect(device.outbox.stats()).toMatchObject({ dropped: 0, refused: 0 });
    expect(device.session.connects()).toBeGreaterThanOrEqual(CUTS);
  }, 90_000);

  test('what was written before a restart is replayed, marked, in order', async () => {
    const port = await freePort();
    const state = folderWith({});
    const offline = await deviceAt(port, state);
    const ids = [await offline.outbox.add(event(0)), await offline.outbox.add(event(1))];
    await offline.stop();
    const broker = await mosquitto('allow_anonymous true');
    const watcher = await watch(broker.port);
    const online = await deviceAt(broker.port, state);
    afterThisTest(online.stop);
    await until('a connection', () => online.session.online());
    const third = await until('room', async () => {
      await sleep(50);
      return online.outbox.stats().messages === 0 && online.outbox.add(event(2));
    });
    const last = await watcher.find('/event/test', ({ document }) => document['n'] === 2);
    const events = watcher.seen.filter(({ topic }) => topic.endsWith('/event/test'));
    expect(events.map(({ document }) => delivered(document))).toMatchObject([
      { n: 0, id: ids[0], seq: 1, replay: true },
      { n: 1, id: ids[1], seq: 2, replay: true },
      { n: 2, id: third, seq: 3, replay: false },
    ]);
    expect(events[0]?.properties).toMatchObject({
      userProperties: { replay: '1', seq: '1', id: ids[0] },
    });
    expect(last.properties['userProperties']).not.toHaveProperty('replay');
  });

  test('a full outbox gives up the oldest of the lowest priority, and counts it', async () => {
    const state = folderWith({});
    const device = await deviceAt(await freePort(), state, { maxMessages: 3 });
    for (const [n, priority] of (['high', 'low', 'low', 'normal', 'high'] as const).entries()) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await device.outbox.add(event(n, priority));
    }
    expect(device.outbox.stats()).toMatchObject({ messages: 3, dropped: 2 });
    await device.stop();
    const broker = await mosquitto('allow_anonymous true');
    const watcher = await watch(broker.port);
    const again = await deviceAt(broker.port, state);
    afterThisTest(again.stop);
    await watcher.find('/event/test', ({ document }) => document['n'] === 4);
    const seen = watcher.seen.filter(({ topic }) => topic.endsWith('/event/test'));
    expect(seen.map(({ document }) => document['n'])).toEqual([0, 3, 4]);
    // The count outlives the restart: a gap that nobody knows of would be worse than a known one.
    expect(again.outbox.stats().dropped).toBe(2);
  });

  test('a device that has nothing to say does not even make the database', async () => {
    const broker = await mosquitto('allow_anonymous true');
    const state = folderWith({});
    const device = await deviceAt(broker.port, state);
    await until('a connection', () => device.session.online());
    await device.stop();
    expect(existsSync(join(state, 'outbox'))).toBe(false);
  });
});
