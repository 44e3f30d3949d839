import { createServer } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { connectAsync, type IClientOptions } from 'mqtt';
import { checksFor, type DoctorFlags } from '../../agent/cli/doctor-checks.ts';
import { aclFile } from '../../agent/fleet/access/acl.ts';
import { cardShard, topicFor } from '../../agent/fleet/protocol/topics.ts';
import { folderWith, listen, mosquitto } from '../fleet/support/harness.ts';
import { describeWithMosquitto, freePort } from '../fleet/support/mosquitto.ts';

async function checkOf(id: string, flags: DoctorFlags) {
  const io = { stdout: { write: () => true }, stderr: { write: () => true }, env: {} };
  const checks = await checksFor(flags, { io });
  const check = checks.find((one) => one.id === id);
  if (check === undefined) throw new Error(`no check ${id}`);
  return check;
}

async function broker(flags: DoctorFlags) {
  const check = await checkOf('broker', flags);
  expect(check.severity).toBe('essential');
  return check.run(new AbortController().signal);
}

async function queue(flags: DoctorFlags) {
  const check = await checkOf('broker-queue', flags);
  expect(check).toMatchObject({ severity: 'optional', dependsOn: 'broker' });
  return check.run(new AbortController().signal);
}

/** Leaves a card of so many devices at the broker. */
async function leaveCards(port: number, count: number, options: IClientOptions = {}) {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, options);
  const ids = Array.from({ length: count }, (_, at) => `pi-${at}`);
  const card = (device: string) => topicFor('card', { device, shard: cardShard(device) });
  await Promise.all(ids.map((id) => client.publishAsync(card(id), '{}', { qos: 1, retain: true })));
  await client.endAsync();
}

describeWithMosquitto('a real broker', () => {
  test('lets us in', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    expect(await broker({ mqtt: `mqtt://127.0.0.1:${port}` })).toMatchObject({
      ok: true,
      found: `mqtt://127.0.0.1:${port} answers (MQTT 5)`,
    });
  });

  test('refuses strangers', async () => {
    const { port } = await mosquitto('allow_anonymous false');
    const finding = await broker({ mqtt: `mqtt://127.0.0.1:${port}` });
    expect(finding).toMatchObject({ ok: false, found: expect.stringContaining('--mqtt-user') });
  });
});

describeWithMosquitto('what one subscription brings of a fleet', () => {
  test('cut by a queue of default size', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    await leaveCards(port, 1300);
    // 1000 queued and 20 on their way (mosquitto.conf(5): max_queued_messages, max_inflight_messages).
    expect(await queue({ mqtt: `mqtt://127.0.0.1:${port}` })).toMatchObject({
      ok: false,
      found: 'one subscription brings 1020 of 1300 cards: the broker queues no more for a client',
      mend: expect.stringContaining('raise max_queued_messages'),
      facts: { cards: '1300', cardsAtOnce: '1020' },
    });
  });

  test('whole where the queue is long enough', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_queued_messages 0');
    await leaveCards(port, 1300);
    expect(await queue({ mqtt: `mqtt://127.0.0.1:${port}` })).toMatchObject({
      ok: true,
      found: 'one subscription brings 1300 of 1300 cards',
    });
  });

  test('not measured where there is nothing, or nothing that a device may read', async () => {
    const acl = aclFile({ operators: ['ann'], dashboards: [], controllers: [] }, []);
    const folder = folderWith({ acl });
    const { port } = await mosquitto('allow_anonymous true', `acl_file ${folder}/acl`);
    await leaveCards(port, 3, { username: 'ann' });
    const mqtt = `mqtt://127.0.0.1:${port}`;
    expect(await queue({ mqtt, mqttUser: 'pi-1' })).toMatchObject({
      ok: true,
      found: expect.stringContaining('this user may not read them'),
    });
    expect(await queue({ mqtt, mqttUser: 'ann' })).toMatchObject({
      found: 'one subscription brings 3 of 3 cards',
    });
  });
});

describe('no broker', () => {
  test('nobody listens', async () => {
    const finding = await broker({ mqtt: `mqtt://127.0.0.1:${await freePort()}` });
    expect(finding).toMatchObject({
      ok: false,
      found: expect.stringContaining('connection refused; is the broker running?'),
    });
  });

  test('somebody listens and says nothing: it ends in time', async () => {
    const port = await listen(createServer(() => undefined));
    const start = performance.now();
    const finding = await broker({ mqtt: `mqtt://127.0.0.1:${port}`, mqttTimeout: '0.5' });
    expect(finding.ok).toBe(false);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('a bad URL is refused before anything is checked', async () => {
    await expect(broker({ mqtt: 'http://host' })).rejects.toThrow('unknown scheme');
  });
});
