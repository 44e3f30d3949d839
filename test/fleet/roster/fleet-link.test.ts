import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { connect } from 'mqtt';
import type { MqttClient } from 'mqtt';
import { parseBrokerUrl } from '../../../agent/fleet/broker-url.ts';
import { startFleetLink } from '../../../agent/fleet/roster/fleet-link.ts';
import type { FleetLinkOptions, Reading } from '../../../agent/fleet/roster/fleet-link.ts';
import { until } from '../../daemon/support.ts';
import { afterThisTest, folderWith, mosquitto } from '../support/harness.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';
import { card, status, twin, type Wire } from './messages.ts';

/** Above what mosquitto queues for one subscription (1,000 and 20 on their way), in one shard or all. */
const DEVICES = Number(process.env['EDGEFIT_ROSTER_DEVICES'] ?? '2500');
const WAIT_MS = 60_000;

async function publisher(port: number): Promise<MqttClient> {
  const client = connect({ port, host: '127.0.0.1', reconnectPeriod: 0 });
  afterThisTest(() => client.endAsync(true));
  return client;
}

async function keep(client: MqttClient, wires: readonly Wire[]): Promise<void> {
  const options = { qos: 1, retain: true } as const;
  await Promise.all(
    wires.map(([topic, document]) => client.publishAsync(topic, JSON.stringify(document), options)),
  );
}

/** Online now, by the clock of this machine. */
function device(id: string): readonly Wire[] {
  const ts = new Date().toISOString();
  return [card(id), status(id, { ts, since: ts }), twin(id)];
}

function follow(port: number, more: Partial<FleetLinkOptions> = {}) {
  const readings: Reading[] = [];
  const warnings: string[] = [];
  const link = startFleetLink({
    broker: { address: parseBrokerUrl(`mqtt://127.0.0.1:${port}`).address },
    clientId: 'test-fleet',
    timeoutMs: 10_000,
    backoff: { minMs: 50, maxMs: 200 },
    onReconciled: (reading) => readings.push(reading),
    log: {
      info: () => undefined,
      warn: (fields, message) => warnings.push(`${message} ${JSON.stringify(fields)}`),
    },
    ...more,
  });
  afterThisTest(() => link.stop());
  return { link, readings, warnings };
}

const states = (link: ReturnType<typeof startFleetLink>) => {
  const counts: Record<string, number> = {};
  for (const { state } of link.roster.rows()) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
};

/** A broker that refuses subscriptions, which mosquitto's access lists do not. */
const REFUSING = '/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so';

async function refusing(filter: string) {
  const file = folderWith({
    'security.json': JSON.stringify({
      defaultACLAccess: {
        publishClientSend: true,
        publishClientReceive: true,
        subscribe: true,
        unsubscribe: true,
      },
      roles: [
        {
          rolename: 'half',
          acls: [{ acltype: 'subscribePattern', topic: filter, priority: 1, allow: false }],
        },
      ],
      groups: [{ groupname: 'all', roles: [{ rolename: 'half' }], clients: [] }],
      anonymousGroup: 'all',
      clients: [],
    }),
  });
  return mosquitto(
    'allow_anonymous true',
    `plugin ${REFUSING}`,
    `plugin_opt_config_file ${file}/security.json`,
  );
}

describeWithMosquitto('a fleet link', () => {
  const testRefusing = existsSync(REFUSING) ? test : test.skip;

  testRefusing('that must read everything does not stand without the right to', async () => {
    const { port } = await refusing('edgefit/v1/d/+/up/job/#');
    const loose = follow(port, { clientId: 'loose' });
    await until('it stands', () => loose.link.connected());
    expect(loose.warnings.join()).toContain('does not let this user read it');
    const strict = follow(port, { clientId: 'strict', mustRead: true });
    const why = 'the broker does not let this user read edgefit/v1/d/+/up/job/+: ask for it';
    await until('it says why', () => strict.warnings.join().includes(why));
    expect(strict.link.connected()).toBe(false);
  });

  test('keeps the fleet when the clock is set back while it is read', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    await keep(await publisher(port), ['a', 'b', 'c'].flatMap(device));
    let nowMs = Date.now();
    const now = () => (nowMs -= 1000);
    const { link, readings } = follow(port, { now });
    await until('the fleet is read', () => readings.length > 0, WAIT_MS);
    expect([link.roster.size, readings[0]?.devices, link.complete()]).toEqual([3, 3, true]);
  });

  test(
    `is complete at ${DEVICES} devices on a broker with default limits`,
    async () => {
      const { port } = await mosquitto('allow_anonymous true');
      const client = await publisher(port);
      const ids = Array.from({ length: DEVICES }, (_, at) => `device-${at}`);
      await keep(client, ids.flatMap(device));
      const { link, readings, warnings } = follow(port);
      await until('the fleet is read', () => readings.length === 1, WAIT_MS);
      expect(readings[0]).toMatchObject({ devices: DEVICES, complete: true });
      expect(link.complete()).toBe(true);
      expect(states(link)).toEqual({ online: DEVICES });
      const counted = [...link.roster.rows()].filter(({ counters }) => counters !== null);
      expect(counted).toHaveLength(DEVICES);
      expect(warnings).toEqual([]);
    },
    2 * WAIT_MS,
  );

  test(
    'is complete on a broker that queues little, and over MQTT 3.1.1',
    async () => {
      const { port } = await mosquitto('allow_anonymous true', 'max_queued_messages 40');
      const client = await publisher(port);
      const ids = Array.from({ length: 900 }, (_, at) => `device-${at}`);
      await keep(client, ids.flatMap(device));
      const { link, readings } = follow(port, { protocols: [4], quietMs: 150 });
      await until('the fleet is read', () => readings.length === 1, WAIT_MS);
      expect(readings[0]).toMatchObject({ devices: 900, complete: true });
      expect(states(link)).toEqual({ online: 900 });
    },
    2 * WAIT_MS,
  );

  test('says that it is not complete where a shard holds more than the broker queues', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_queued_messages 1');
    const client = await publisher(port);
    const ids = Array.from({ length: 1700 }, (_, at) => `device-${at}`);
    await keep(
      client,
      ids.map((id) => card(id)),
    );
    const { link, readings, warnings } = follow(port, { quietMs: 50 });
    await until('the fleet is read', () => readings.length === 1, WAIT_MS);
    expect(link.complete()).toBe(false);
    expect(link.roster.size).toBeLessThan(1700);
    expect(warnings.some((line) => line.includes('max_queued_messages'))).toBe(true);
  }, 90_000);

  test('hears what changes, and sees after a cut what has changed meanwhile', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const client = await publisher(port);
    await keep(client, ['a', 'b', 'c'].flatMap(device));
    const changed: string[] = [];
    const { link, readings } = follow(port, {
      onChanged: (ids) => changed.push(...ids),
      backoff: { minMs: 2000, maxMs: 2000 },
    });
    await until('the fleet is read', () => readings.length === 1, WAIT_MS);
    changed.length = 0;
    await keep(client, [status('b', { state: 'offline', session: 1 })]);
    await until('b is offline', () => link.roster.get('b')?.state === 'offline');
    expect(changed).toEqual(['b']);

    // Another client takes the connection over: the link notices nothing of what follows.
    const thief = connect({ port, host: '127.0.0.1', clientId: 'test-fleet', reconnectPeriod: 0 });
    afterThisTest(() => thief.endAsync(true));
    await until('the connection is lost', () => !link.connected());
    const [gone] = card('c');
    await client.publishAsync(gone, '', { qos: 1, retain: true });
    await keep(client, [status('a', { state: 'draining', session: 2 }), ...device('d')]);
    await until('it is read again', () => readings.length === 2, WAIT_MS);
    expect([...link.roster.rows()].map(({ deviceId }) => deviceId).toSorted()).toEqual([
      'a',
      'b',
      'd',
    ]);
    expect(link.roster.get('a')?.state).toBe('draining');
    await keep(client, [['edgefit/v1/d/b/dn/revoked', { deviceId: 'b' }]]);
    await until('b is shut out', () => link.roster.get('b') === undefined);
    expect(await link.reconcile()).toMatchObject({ devices: 2, complete: true });
    expect(link.roster.isRevoked('b')).toBe(true);
  }, 30_000);

  test('reads exactly what is kept at some topics', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const client = await publisher(port);
    await keep(client, [card('a'), twin('a'), status('b')]);
    const { link } = follow(port);
    const topics = [twin('a')[0], status('b')[0], status('zz')[0]];
    const found = await link.readRetained(topics);
    expect([...found.keys()].toSorted()).toEqual([twin('a')[0], status('b')[0]].toSorted());
    expect(JSON.parse(String(found.get(twin('a')[0])))).toEqual(twin('a')[1]);
  });
});
