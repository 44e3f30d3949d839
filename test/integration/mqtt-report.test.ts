import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { connect, connectAsync } from 'mqtt';
import type { IPublishPacket } from 'mqtt';
import { connectBroker } from '../../agent/fleet/broker-connection.ts';
import { parseBrokerUrl } from '../../agent/fleet/broker-url.ts';
import { publishReport } from '../../agent/fleet/report.ts';
import { benchReport } from '../fleet/support/documents.ts';
import {
  afterThisTest,
  BIRTH,
  DEVICE,
  folderWith,
  mosquitto,
  options,
  subscriber,
  textOf,
} from '../fleet/support/harness.ts';
import { describeWithMosquitto } from '../fleet/support/mosquitto.ts';

describeWithMosquitto('a mosquitto', () => {
  test('takes birth and benchmark over MQTT 5', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const reader = await subscriber(port);
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const [birth, bench] = await reader.take(2);
    expect(published.protocol).toBe(5);
    expect(published.topics).toEqual([BIRTH, bench?.topic]);
    expect(JSON.parse(textOf(bench!))).toEqual(benchReport());
    expect(JSON.parse(textOf(birth!))).toMatchObject({ deviceId: DEVICE, session: null });
    expect(published.bytes).toBe(textOf(birth!).length + textOf(bench!).length);
  });

  test('keeps the birth, but not the benchmark, for a late subscriber', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const reader = await subscriber(port);
    const [birth] = await reader.take(1);
    expect(birth).toMatchObject({ topic: BIRTH, retain: true });
    // A second report shows that nothing else was waiting: the next two are its own.
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const next = await reader.take(2);
    expect(next.map(({ retain }) => retain)).toEqual([false, false]);
  });

  test('gets content type and schema as MQTT 5 properties', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const client = connect({ port, host: '127.0.0.1', protocolVersion: 5, reconnectPeriod: 0 });
    afterThisTest(() => client.endAsync(true));
    const message = new Promise<IPublishPacket>((resolve) => {
      client.once('message', (_topic, _payload, packet) => resolve(packet));
    });
    await client.subscribeAsync(BIRTH);
    expect((await message).properties).toMatchObject({
      contentType: 'application/json',
      userProperties: { schema: 'edgefit/birth/1' },
    });
  });

  test('leaves the birth to the daemon when asked', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`, { announce: false }));
    expect(published.topics).toHaveLength(1);
    expect(published.topics[0]).toContain('/up/bench/');
  });

  test.each([4, 5] as const)('leaves the birth of a daemon alone (MQTT %i)', async (protocol) => {
    const { port } = await mosquitto('allow_anonymous true');
    const daemon = await connectAsync({ port, host: '127.0.0.1', reconnectPeriod: 0 });
    afterThisTest(() => daemon.endAsync(true));
    const kept = JSON.stringify({ schema: 'edgefit/birth/1', session: 7, tags: ['site-a'] });
    await daemon.publishAsync(BIRTH, kept, { qos: 1, retain: true });
    const url = `mqtt://127.0.0.1:${port}`;
    const published = await publishReport(options(url, { protocols: [protocol] }));
    expect(published.topics).toEqual([expect.stringContaining('/up/bench/')]);
    const [birth] = await (await subscriber(port)).take(1);
    expect(textOf(birth!)).toBe(kept);
  });

  test('replaces what is no birth', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const other = await connectAsync({ port, host: '127.0.0.1', reconnectPeriod: 0 });
    afterThisTest(() => other.endAsync(true));
    await other.publishAsync(BIRTH, 'no birth', { qos: 1, retain: true });
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`));
    expect(published.topics[0]).toBe(BIRTH);
  });

  test('does not throw out a daemon with the same device id', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const settings = { port, host: '127.0.0.1', clientId: DEVICE, reconnectPeriod: 0 };
    const daemon = await connectAsync(settings);
    afterThisTest(() => daemon.endAsync(true));
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    await daemon.publishAsync('still/there', 'yes', { qos: 1 });
    expect(daemon.connected).toBe(true);
  });

  test('takes 3.1.1 when only that is wanted', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`, { protocols: [4] }));
    expect(published.protocol).toBe(4);
  });
});

/** A mosquitto whose only user is `user` with the password `secret`. */
async function withUser(...lines: readonly string[]) {
  // As `mosquitto_passwd` writes it: PBKDF2 with SHA-512, 101 rounds.
  const salt = randomBytes(12);
  const hash = pbkdf2Sync('secret', salt, 101, 64, 'sha512');
  const entry = `user:$7$101$${salt.toString('base64')}$${hash.toString('base64')}\n`;
  const folder = folderWith({ passwd: entry });
  return mosquitto('allow_anonymous false', `password_file ${join(folder, 'passwd')}`, ...lines);
}

describeWithMosquitto('a mosquitto with users', () => {
  test('lets the right password in', async () => {
    const { port } = await withUser();
    const published = await publishReport(options(`mqtt://user:secret@127.0.0.1:${port}`));
    expect(published.topics).toHaveLength(2);
  });

  test.each([
    ['user:wr0ng@', [5, 4] as const, 'refused user "user"'],
    ['user:wr0ng@', [4] as const, 'refused user "user"'],
    ['', [5, 4] as const, 'refused an anonymous client: not authorized; give --mqtt-user'],
  ])('refuses %j over %j', async (credentials, protocols, message) => {
    const { port } = await withUser();
    const url = `mqtt://${credentials}127.0.0.1:${port}`;
    const failure = publishReport(options(url, { protocols }));
    await expect(failure).rejects.toMatchObject({ code: 'NOT_AUTHORIZED', kind: 'failure' });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.not.toThrow('wr0ng');
  });

  test('names topic and user when the ACL refuses (MQTT 5)', async () => {
    const folder = folderWith({ acl: 'user user\ntopic write some/where\n' });
    const { port } = await withUser(`acl_file ${join(folder, 'acl')}`);
    const failure = publishReport(options(`mqtt://user:secret@127.0.0.1:${port}`));
    await expect(failure).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    await expect(failure).rejects.toThrow(
      `refused topic ${BIRTH}: not authorized; check the ACL for user "user"`,
    );
  });

  // MQTT 3.1.1 has no way to refuse: mosquitto acknowledges and drops. The result says which
  // protocol was spoken, so that the caller can tell how much an acknowledgement is worth.
  test('drops silently what the ACL refuses under 3.1.1', async () => {
    const folder = folderWith({ acl: 'user user\ntopic read #\n' });
    const { port } = await withUser(`acl_file ${join(folder, 'acl')}`);
    const url = `mqtt://user:secret@127.0.0.1:${port}`;
    await expect(publishReport(options(url, { protocols: [4] }))).resolves.toMatchObject({
      protocol: 4,
    });
  });

  test('the ACL of a fleet is two lines', async () => {
    const acl = 'pattern write edgefit/v1/d/%u/up/#\npattern read edgefit/v1/d/%u/dn/#\n';
    const folder = folderWith({ acl });
    const { port } = await withUser(`acl_file ${join(folder, 'acl')}`);
    const url = `mqtt://user:secret@127.0.0.1:${port}`;
    const own = await publishReport(options(url, { deviceId: 'user' }));
    expect(own.topics).toHaveLength(2);
    const other = publishReport(options(url, { deviceId: 'someone-else' }));
    await expect(other).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
  });
});

describeWithMosquitto('limits of a mosquitto', () => {
  test('a message over the packet size that the broker announced', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_packet_size 2500');
    const report = benchReport('x'.repeat(4000));
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`, { report }));
    await expect(failure).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(failure).rejects.toThrow('allows 2500');
  });

  test('the announced limit is met to the byte', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_packet_size 1000');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
    afterThisTest(connection.close);
    // 3 bytes fixed header, 2 + 1 topic, 2 packet id, 1 + 32 + 1 properties, 958 payload.
    const message = { topic: 't', retain: false, schema: 's', payload: 'x'.repeat(958) };
    await connection.publish(message);
    const larger = connection.publish({ ...message, payload: 'x'.repeat(959) });
    await expect(larger).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('the same limit under 3.1.1 is a hang-up, and the message says why', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_packet_size 2500');
    const report = benchReport('x'.repeat(4000));
    const url = `mqtt://127.0.0.1:${port}`;
    const failure = publishReport(options(url, { report, protocols: [4] }));
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow('allows no message of this size');
  });

  test('a broker without retained messages is refused', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'retain_available false');
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`));
    await expect(failure).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(failure).rejects.toThrow('keeps no retained messages');
  });
});
