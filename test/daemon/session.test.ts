import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { birthSchema } from '../../agent/contracts/messages.ts';
import { statusSchema } from '../../agent/contracts/fleet-status.ts';
import { twinSchema } from '../../agent/contracts/fleet-twin.ts';
import { afterThisTest, mosquitto } from '../fleet/support/harness.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { watch, yamlFor } from './fleet-support.ts';
import type { Seen } from './fleet-support.ts';
import { startDaemon, temporaryFolder, until } from './support.ts';

jest.setTimeout(20_000);

const ANYONE = 'allow_anonymous true';
const is = (state: string) => (seen: Seen) => seen.document['state'] === state;

describeWithMosquitto('the daemon at a mosquitto', () => {
  test('says that it is there, what it is and what it does; then goodbye', async () => {
    const { port } = await mosquitto(ANYONE);
    const watcher = await watch(port);
    const daemon = startDaemon(yamlFor(port, 'tags: [site-a]'));
    const online = await watcher.find('/pi-7/up/status', is('online'));
    const birth = await watcher.find('/pi-7/up/birth');
    const twin = await watcher.find('/pi-7/up/twin');
    expect(statusSchema.parse(online.document)).toMatchObject({ session: 1, cause: null });
    expect(birthSchema.parse(birth.document)).toMatchObject({
      session: 1,
      tags: ['site-a'],
      jobs: [],
      keyIds: [],
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    });
    expect(twinSchema.parse(twin.document)).toMatchObject({ activeModel: null });
    daemon.child.kill('SIGTERM');
    const goodbye = await watcher.find('/pi-7/up/status', is('offline'));
    expect(goodbye.document).toMatchObject({ session: 1, cause: 'stopped' });
    expect(await daemon.ended).toBe(0);
    const late = await watch(port);
    const kept = await late.find('/pi-7/up/status');
    expect(kept).toMatchObject({ retain: true, document: { state: 'offline', cause: 'stopped' } });
  });

  test('its will speaks when it is killed, and the next session has the next number', async () => {
    const { port } = await mosquitto(ANYONE);
    const watcher = await watch(port);
    const state = temporaryFolder();
    const first = startDaemon(yamlFor(port), { state });
    await watcher.find('/pi-7/up/status', is('online'));
    first.child.kill('SIGKILL');
    const will = await watcher.find('/pi-7/up/status', is('offline'));
    expect(will.document).toMatchObject({ session: 1, cause: 'lost', ts: null });
    startDaemon(yamlFor(port), { state });
    const second = await watcher.find(
      '/pi-7/up/status',
      ({ document }) => document['session'] === 2,
    );
    expect(second.document['state']).toBe('online');
    expect(JSON.parse(readFileSync(join(state, 'session.json'), 'utf8'))).toEqual({
      v: 1,
      session: 2,
    });
  });

  test('a will that comes late does not win', async () => {
    const { port } = await mosquitto(ANYONE);
    const watcher = await watch(port);
    startDaemon(yamlFor(port));
    const online = await watcher.find('/pi-7/up/status', is('online'));
    const will = { ...online.document, session: 0, state: 'offline', cause: 'lost', ts: null };
    const from = watcher.seen.length;
    await watcher.client.publishAsync(online.topic, JSON.stringify(will), { qos: 1, retain: true });
    await watcher.find('/pi-7/up/status', is('offline'), from);
    await watcher.find('/pi-7/up/status', is('online'), from);
    const late = await watch(port);
    expect((await late.find('/pi-7/up/status')).document).toMatchObject({
      state: 'online',
      session: 1,
    });
  });

  test('comes back when the broker does, and tells it everything again', async () => {
    const first = await startMosquitto([ANYONE]);
    const daemon = startDaemon(yamlFor(first.port));
    await until('online', () => daemon.log().includes('"online"'));
    await first.stop();
    await until('the loss', () => daemon.log().includes('the connection is lost'));
    const second = await startMosquitto([ANYONE], first.port);
    afterThisTest(second.stop);
    const watcher = await watch(second.port);
    // Nothing is left of the first broker's memory.
    const online = await watcher.find('/pi-7/up/status', is('online'));
    expect(Number(online.document['session'])).toBeGreaterThan(1);
    await watcher.find('/pi-7/up/birth');
    await watcher.find('/pi-7/up/twin');
  });

  test('keeps its session: a request that came meanwhile is answered', async () => {
    const { port } = await mosquitto(ANYONE, 'persistent_client_expiration 1h');
    const watcher = await watch(port);
    const state = temporaryFolder();
    const first = startDaemon(yamlFor(port), { state });
    // It says so when it has subscribed, too.
    await until('online', () => first.log().includes('"online"'));
    first.child.kill('SIGKILL');
    await watcher.find('/pi-7/up/status', is('offline'));
    const topic = 'edgefit/v1/d/pi-7/dn/req/ping';
    const request = {
      schema: 'edgefit/request/1',
      id: 'r1',
      replyTo: 'edgefit/v1/c/me/rsp/pi-7/r1',
    };
    await watcher.client.publishAsync(topic, JSON.stringify(request), { qos: 1 });
    startDaemon(yamlFor(port), { state });
    const answer = await watcher.find('/rsp/pi-7/r1');
    expect(answer.document).toMatchObject({ ok: true, id: 'r1', deviceId: 'pi-7' });
  });

  test('an ACL that lets it use its own branch only is enough', async () => {
    const folder = temporaryFolder();
    const acl = join(folder, 'acl');
    writeFileSync(
      acl,
      'user watcher\ntopic readwrite edgefit/v1/#\npattern write edgefit/v1/d/%u/up/#\npattern read edgefit/v1/d/%u/dn/#\n',
    );
    const { port } = await mosquitto(ANYONE, `acl_file ${acl}`);
    const watcher = await watch(port, `mqtt://watcher@127.0.0.1:${port}`);
    const daemon = startDaemon(yamlFor(port, '  user: pi-7'));
    await watcher.find('/pi-7/up/status', is('online'));
    await watcher.find('/pi-7/up/twin');
    expect(daemon.log()).not.toContain('"warn"');
  });
});

describeWithMosquitto('while it is online', () => {
  test('no native library for inference or images is in its memory', async () => {
    const { port } = await mosquitto(ANYONE);
    const daemon = startDaemon(yamlFor(port));
    const watcher = await watch(port);
    await watcher.find('/pi-7/up/birth');
    const maps = readFileSync(`/proc/${daemon.child.pid}/maps`, 'utf8');
    expect(maps).toContain('/node');
    expect(maps).not.toMatch(/onnxruntime|tensorflow|tflite|libvips|sharp|koffi|classic-level/i);
  });

  test('bad messages are refused, counted, and change nothing', async () => {
    const { port } = await mosquitto(ANYONE);
    const watcher = await watch(port);
    startDaemon(yamlFor(port));
    await watcher.find('/pi-7/up/twin');
    const dn = 'edgefit/v1/d/pi-7/dn';
    const bad: readonly (readonly [string, string | Buffer])[] = [
      [`${dn}/job/j1`, '{"schema":"edgefit/signed/1"'],
      [`${dn}/job/j1`, Buffer.alloc(200_000, 32)],
      [`${dn}/job/j1`, '{"schema":"edgefit/signed/2"}'],
      [`${dn}/job/j1`, '{"schema":"edgefit/signed/1"}'],
      [`${dn}/twin`, '{"schema":"edgefit/signed/1"}'],
      [`${dn}/no/such/topic`, '{}'],
    ];
    for (const [topic, payload] of bad) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await watcher.client.publishAsync(topic, payload, { qos: 1 });
    }
    const request = {
      schema: 'edgefit/request/1',
      id: 'r1',
      replyTo: 'edgefit/v1/c/me/rsp/pi-7/r1',
    };
    await watcher.client.publishAsync(`${dn}/req/health`, JSON.stringify(request), { qos: 1 });
    const { document } = await watcher.find('/rsp/pi-7/r1');
    expect(document['result']).toMatchObject({
      refused: {
        NOT_JSON: 1,
        TOO_LARGE: 1,
        UNKNOWN_SCHEMA: 1,
        UNSUPPORTED: 1,
        UNVERIFIED: 1,
        BAD_TOPIC: 1,
      },
    });
    const twins = watcher.seen.filter(({ topic }) => topic.endsWith('/up/twin'));
    expect(twins.at(-1)?.document).toMatchObject({
      rev: twins[0]?.document['rev'],
      settings: { counter: null, applied: {}, refused: { code: 'UNVERIFIED' } },
    });
  });
});

test('a daemon without a broker works alone', async () => {
  const daemon = startDaemon('tags: [a]\n');
  await until('the start', () => daemon.log().includes('without a fleet'));
  daemon.child.kill('SIGINT');
  expect(await daemon.ended).toBe(0);
});

test('goes on trying while there is no broker, and stops at once when told', async () => {
  const daemon = startDaemon(yamlFor(1));
  await until('attempts', () => daemon.log().split('not connected').length > 4);
  expect(daemon.log()).toContain('connection refused');
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
});
