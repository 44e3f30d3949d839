import { expect, jest, test } from '@jest/globals';
import { telemetrySchema, type Telemetry } from '../../agent/contracts/telemetry.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { watch, yamlFor, type Watcher } from './fleet-support.ts';
import { startDaemon, temporaryFolder, until } from './support.ts';

jest.setTimeout(60_000);

const FAST = [
  'telemetry:',
  '  schedule: "* * * * * *"',
  // An entry a second while offline.
  '  historyMinutes: 0.01',
].join('\n');

const telemetryOf = ({ seen }: Watcher, stream: string): readonly Telemetry[] =>
  seen
    .filter(({ topic }) => topic === `edgefit/v1/d/pi-7/up/tele/${stream}`)
    .map(({ document }) => telemetrySchema.parse(document));

describeWithMosquitto('the telemetry of a daemon', () => {
  test('is whole at first, then only what has changed; offline it waits and is replayed', async () => {
    const broker = await startMosquitto(['allow_anonymous true']);
    const watcher = await watch(broker.port);
    const state = temporaryFolder();
    const daemon = startDaemon(yamlFor(broker.port, FAST), { state });
    const [first] = await until('telemetry', () => {
      const found = telemetryOf(watcher, 'host');
      return found.length > 0 && telemetryOf(watcher, 'agent').length > 0 ? found : undefined;
    });
    expect(first).toMatchObject({ full: true, seq: 1, deviceId: 'pi-7' });
    expect(first?.values).toMatchObject({
      memoryTotalBytes: expect.any(Number),
      diskFreeBytes: expect.any(Number),
    });
    // A machine of the test does not change its memory: it is told once.
    const later = await until('the load', () =>
      telemetryOf(watcher, 'host').find(({ seq }) => seq > 1),
    );
    expect(later).toMatchObject({ full: false });
    expect(later.values).not.toHaveProperty('memoryTotalBytes');
    expect(watcher.seen.some(({ topic, retain }) => retain && topic.includes('/tele/'))).toBe(
      false,
    );

    await broker.stop();
    await until('an outage', () => daemon.log().includes('the connection is lost'));
    // More than two seconds, so that a sample is taken in the midst of it.
    await until('history', () => daemon.log().split('not connected').length > 20);
    // Nothing is kept for the watcher: it must be there before the daemon is.
    daemon.child.kill('SIGSTOP');
    const again = await startMosquitto(['allow_anonymous true'], broker.port);
    afterThisTest(again.stop);
    await until('the watcher', () => watcher.client.connected);
    await watcher.client.subscribeAsync('edgefit/v1/#', { qos: 1 });
    daemon.child.kill('SIGCONT');
    const isReplay = (document: Readonly<Record<string, unknown>>) =>
      Object(document['delivery']).replay === true;
    const replayed = await watcher.find('/tele/host', ({ document }) => isReplay(document));
    expect(telemetrySchema.parse(replayed.document)).toMatchObject({ full: true });
    // Whole again: what was sent in vain is not known.
    await watcher.find(
      '/tele/host',
      ({ document }) => document['full'] === true && document['delivery'] === undefined,
      watcher.seen.indexOf(replayed),
    );
    const seqs = telemetryOf(watcher, 'host').map(({ seq }) => seq);
    expect(new Set(seqs).size).toBe(seqs.length);
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
  });
});
