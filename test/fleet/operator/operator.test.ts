import { expect, jest, test } from '@jest/globals';
import type { JobRecord } from '../../../agent/contracts/job.ts';
import { matches } from '../../../agent/fleet/operator/channel.ts';
import { readDevice } from '../../../agent/fleet/operator/device.ts';
import { followJob, issueJob, runJob } from '../../../agent/fleet/operator/jobs.ts';
import {
  followRollout,
  readRollouts,
  sendRolloutCommand,
} from '../../../agent/fleet/operator/rollouts.ts';
import { verifyDocument } from '../../../agent/fleet/protocol/signed.ts';
import { watch } from '../../daemon/fleet-support.ts';
import type { Watcher } from '../../daemon/fleet-support.ts';
import { until } from '../../daemon/support.ts';
import { mosquitto } from '../support/harness.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';
import { rollout } from './rollout-fixture.ts';
import { channelTo, newSigner } from './support.ts';

jest.setTimeout(20_000);

const ROOT = 'edgefit/v1';

const put = ({ client }: Watcher, topic: string, value: unknown) =>
  client.publishAsync(`${ROOT}/${topic}`, value === null ? '' : JSON.stringify(value), {
    qos: 1,
    retain: true,
  });

const twin = (job?: number) => ({
  schema: 'edgefit/twin/1',
  deviceId: 'pi-7',
  ts: '2026-03-01T12:00:00.000Z',
  rev: 3,
  activeModel: {
    name: 'kws',
    version: '1.0.0',
    precision: 'int8',
    digest: 'd',
    releaseCounter: 1,
  },
  settings: { counter: null, applied: {}, refused: null },
  ...(job === undefined ? {} : { counters: { job, twin: 0 } }),
  lastBench: null,
});

const record = (seq: number, status: string): Omit<JobRecord, 'status'> & { status: string } => ({
  schema: 'edgefit/job/1',
  deviceId: 'pi-7',
  jobId: 'j',
  jobType: 'bench',
  rolloutId: null,
  digest: null,
  seq,
  status,
  phase: 'fitting',
  attempt: 1,
  outcome: status === 'SUCCEEDED' ? 'applied' : null,
  reason: null,
  progress: null,
  result: null,
  phases: { accepted: 3 },
  ts: '2026-03-01T12:00:00.000Z',
  mono: 1,
  bootId: null,
});

async function site() {
  const { port } = await mosquitto('allow_anonymous true');
  return { watcher: await watch(port), channel: await channelTo(port) };
}

test.each([
  ['a/b/c', 'a/b/c', true],
  ['a/+/c', 'a/b/c', true],
  ['a/+', 'a/b/c', false],
  ['a/b/c/d', 'a/b/c', false],
  ['a/#', 'a/b/c', true],
  ['a/b/c/#', 'a/b/c', true],
  ['+/+/+', 'a/b/c', true],
  ['b/#', 'a/b/c', false],
])('the filter %s and the topic %s: %s', (filter, topic, expected) => {
  expect(matches(filter.split('/'), topic.split('/'))).toBe(expected);
});

describeWithMosquitto('a command to the controller', () => {
  const signer = newSigner();

  test('is signed for its rollout and answered', async () => {
    const { watcher, channel } = await site();
    const sending = sendRolloutCommand(
      channel,
      { rolloutId: 'r1', command: 'pause', reason: 'look first', actor: 'ann' },
      { signers: [signer], timeoutMs: 5000 },
    );
    const { topic, document, retain } = await until('the command', () =>
      watcher.seen.find((one) => one.topic.startsWith(`${ROOT}/r/r1/cmd/`)),
    );
    expect(retain).toBe(false);
    const { signed } = verifyDocument(Buffer.from(JSON.stringify(document)), {
      type: 'rollout',
      deviceId: 'r1',
      keyring: { keys: new Map([[signer.keyId, signer.publicHex]]), threshold: 1 },
      nowMs: Date.now(),
      minCounter: Date.now() - 60_000,
    });
    expect(signed).toMatchObject({ command: 'pause', reason: 'look first', actor: 'ann' });
    const requestId = topic.split('/').at(-1) ?? '';
    const answer = {
      schema: 'edgefit/rollout-response/1',
      requestId,
      rolloutId: 'r1',
      controllerId: 'ctl-1',
      ts: '2026-03-01T12:00:00.000Z',
      ok: true,
      rollout: rollout({ state: 'paused' }),
      error: null,
    };
    await watcher.client.publishAsync(`${ROOT}/r/r1/rsp/${requestId}`, JSON.stringify(answer));
    await expect(sending).resolves.toMatchObject({ ok: true, rollout: { state: 'paused' } });
  });

  test('without a controller says which one is missing', async () => {
    const { watcher, channel } = await site();
    const ask = () =>
      sendRolloutCommand(
        channel,
        { rolloutId: 'r1', command: 'abort' },
        { signers: [signer], timeoutMs: 300 },
      );
    await expect(ask()).rejects.toThrow(
      'no controller is there: start one with agent fleet controller',
    );
    const status = {
      schema: 'edgefit/controller/1',
      controllerId: 'ctl-1',
      state: 'offline',
      epoch: null,
      session: 1,
      since: '2026-03-01T12:00:00.000Z',
      ts: null,
      agent: '1',
      devices: null,
    };
    await put(watcher, 'c/ctl-1/status', status);
    await expect(ask()).rejects.toThrow('no controller is there (ctl-1: offline)');
    await put(watcher, 'c/ctl-2/status', { ...status, controllerId: 'ctl-2', state: 'leading' });
    await expect(ask()).rejects.toMatchObject({
      code: 'NO_ANSWER',
      message: 'ctl-2 leads but has not answered within 0.3 s: its log says why',
    });
  });

  test('that it refuses is told in its words', async () => {
    const { watcher, channel } = await site();
    watcher.client.on('message', (topic) => {
      const [, requestId] = /\/cmd\/(.+)$/.exec(topic) ?? [];
      if (requestId === undefined) return;
      void watcher.client.publishAsync(
        `${ROOT}/r/r1/rsp/${requestId}`,
        JSON.stringify({
          schema: 'edgefit/rollout-response/1',
          requestId,
          rolloutId: 'r1',
          controllerId: 'ctl-1',
          ts: '2026-03-01T12:00:00.000Z',
          ok: false,
          rollout: null,
          error: { code: 'WRONG_STATE', text: 'r1 has ended' },
        }),
      );
    });
    await expect(
      sendRolloutCommand(
        channel,
        { rolloutId: 'r1', command: 'resume' },
        { signers: [signer], timeoutMs: 5000 },
      ),
    ).rejects.toMatchObject({
      code: 'REFUSED',
      message: 'ctl-1 refuses: r1 has ended (WRONG_STATE)',
    });
  });
});

describeWithMosquitto('a rollout', () => {
  test('is listed and followed to its end; older records are passed over', async () => {
    const { watcher, channel } = await site();
    await put(watcher, 'r/r1/state', rollout({ rev: 4 }));
    await put(
      watcher,
      'r/r0/state',
      rollout({ rolloutId: 'r0', createdAt: '2026-02-01T00:00:00.000Z' }),
    );
    await put(watcher, 'r/broken/state', { schema: 'edgefit/rollout/1' });
    expect((await readRollouts(channel)).map(({ rolloutId }) => rolloutId)).toEqual(['r1', 'r0']);
    const revs: number[] = [];
    const following = followRollout(channel, 'r1', {
      onChange: ({ rev }) => revs.push(rev),
      until: ({ state }) => state === 'completed',
      timeoutMs: 2000,
    });
    await until('the first', () => revs.length > 0);
    await put(watcher, 'r/r1/state', rollout({ rev: 3 }));
    await put(watcher, 'r/r1/state', rollout({ rev: 5 }));
    await put(watcher, 'r/r1/state', rollout({ rev: 6, state: 'completed' }));
    await expect(following).resolves.toMatchObject({ rev: 6, state: 'completed' });
    expect(revs).toEqual([4, 5, 6]);
  });

  test('that nobody keeps', async () => {
    const { channel } = await site();
    await expect(
      followRollout(channel, 'r9', {
        onChange: () => undefined,
        until: () => true,
        timeoutMs: 200,
      }),
    ).rejects.toMatchObject({ code: 'UNKNOWN_ROLLOUT', kind: 'input' });
  });
});

describeWithMosquitto('a job for one device', () => {
  const options = { signers: [newSigner()], timeoutMs: 500 };

  test('has the next counter, stays at the broker, and is followed and archived', async () => {
    const { watcher, channel } = await site();
    await put(watcher, 'd/pi-7/up/twin', twin(41));
    const issued = await issueJob(channel, 'pi-7', { jobType: 'bench' }, options);
    expect(issued).toMatchObject({ deviceId: 'pi-7', counter: 42 });
    const sent = await watcher.find(`/dn/job/${issued.jobId}`);
    expect(sent.document['signed']).toMatchObject({
      type: 'job',
      jobType: 'bench',
      counter: 42,
      model: { name: 'kws' },
    });
    const seen: number[] = [];
    const following = followJob(channel, issued, { onRecord: ({ seq }) => seen.push(seq) });
    const topic = `d/pi-7/up/job/${issued.jobId}`;
    for (const one of [record(1, 'IN_PROGRESS'), record(1, 'FAILED'), record(2, 'SUCCEEDED')]) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await put(watcher, topic, { ...one, jobId: issued.jobId });
    }
    await expect(following).resolves.toMatchObject({ seq: 2, status: 'SUCCEEDED' });
    expect(seen).toEqual([1, 2]);
    const late = await watch(watcher.client.options.port ?? 0);
    await late.find('/up/twin');
    expect(late.seen.some((one) => one.topic.endsWith(`/dn/job/${issued.jobId}`))).toBe(false);
  });

  test('is refused where the device is unknown, too old or runs nothing', async () => {
    const { watcher, channel } = await site();
    const issue = () => issueJob(channel, 'pi-7', { jobType: 'bench' }, options);
    await expect(issue()).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE', kind: 'input' });
    await put(watcher, 'd/pi-7/up/twin', twin());
    await expect(issue()).rejects.toMatchObject({ code: 'NO_COUNTER' });
    await put(watcher, 'd/pi-7/up/twin', { ...twin(1), activeModel: null });
    await expect(issue()).rejects.toMatchObject({ code: 'NOTHING_RUNS' });
    const check = await issueJob(channel, 'pi-7', { jobType: 'selfcheck' }, options);
    expect(check.counter).toBe(2);
  });

  test('is issued once more where it was taken for a replay', async () => {
    const { watcher, channel } = await site();
    await put(watcher, 'd/pi-7/up/twin', twin(41));
    const counters: number[] = [];
    watcher.client.on('message', (topic, payload) => {
      const [, jobId] = /\/dn\/job\/(.+)$/.exec(topic) ?? [];
      if (jobId === undefined || payload.length === 0) return;
      const { counter } = JSON.parse(payload.toString()).signed;
      counters.push(counter);
      const refused = { reason: { code: 'replayed', text: '' }, result: { lowestCounter: 90 } };
      const end = counter < 90 ? { ...record(1, 'REJECTED'), ...refused } : record(1, 'SUCCEEDED');
      void put(watcher, `d/pi-7/up/job/${jobId}`, { ...end, jobId });
    });
    const end = await runJob(channel, 'pi-7', { jobType: 'bench' }, options);
    expect([end?.status, counters]).toEqual(['SUCCEEDED', [42, 90]]);
  });

  test('everything that is kept of a device', async () => {
    const { watcher, channel } = await site();
    await put(watcher, 'd/pi-7/up/twin', twin(41));
    await put(watcher, 'd/pi-7/up/job/a', { ...record(2, 'SUCCEEDED'), jobId: 'a' });
    await put(watcher, 'd/pi-7/up/job/b', {
      ...record(1, 'IN_PROGRESS'),
      jobId: 'b',
      ts: '2026-03-02T12:00:00.000Z',
    });
    const view = await readDevice(channel, 'pi-7');
    expect(view.twin?.rev).toBe(3);
    expect(view.status).toBeNull();
    expect(view.jobs.map(({ jobId }) => jobId)).toEqual(['b', 'a']);
    expect(view.kept).toHaveLength(3);
    await expect(readDevice(channel, 'pi-8')).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
  });
});

describeWithMosquitto('a lost broker', () => {
  test('ends whoever waits', async () => {
    const broker = await mosquitto('allow_anonymous true');
    const channel = await channelTo(broker.port);
    const following = followJob(channel, { deviceId: 'pi-7', jobId: 'j1' });
    await channel.listen([`${ROOT}/x`], () => undefined);
    broker.process.kill('SIGKILL');
    await expect(following).rejects.toMatchObject({ code: 'LOST' });
  });
});

describeWithMosquitto('a controller that begins to lead late', () => {
  test('hears the same command again', async () => {
    const { watcher, channel } = await site();
    const heard: string[] = [];
    const sending = sendRolloutCommand(
      channel,
      { rolloutId: 'r1', command: 'pause' },
      { signers: [newSigner()], timeoutMs: 15_000 },
    );
    watcher.client.on('message', (topic) => {
      const [, requestId] = /\/cmd\/(.+)$/.exec(topic) ?? [];
      if (requestId === undefined || heard.push(requestId) < 2) return;
      const answer = { schema: 'edgefit/rollout-response/2' };
      void watcher.client.publishAsync(`${ROOT}/r/r1/rsp/${requestId}`, JSON.stringify(answer));
    });
    await expect(sending).rejects.toThrow('it is of another version than this program');
    expect(heard).toHaveLength(2);
    expect(heard[0]).toBe(heard[1]);
  });
});
