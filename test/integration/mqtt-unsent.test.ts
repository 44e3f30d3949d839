import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseBrokerUrl } from '../../agent/fleet/broker-url.ts';
import { publishOrKeep } from '../../agent/fleet/report.ts';
import type { Published } from '../../agent/fleet/report.ts';
import { benchReport, facts } from '../fleet/support/documents.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import type { Mosquitto } from '../fleet/support/mosquitto.ts';

let state = '';
let broker: Mosquitto | undefined;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'edgefit-state-'));
});
afterEach(async () => {
  await broker?.stop();
  broker = undefined;
  rmSync(state, { recursive: true, force: true });
});

function send(note: string, signal?: AbortSignal): Promise<Published> {
  const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${broker?.port}`);
  const settings = { address, user: 'user', password: 'secret' };
  const what = { deviceId: 'pi-7', facts, report: benchReport(note), agent: '0.1.0' };
  return publishOrKeep({ broker: settings, ...what, timeoutMs: 3000, signal }, state);
}

const waiting = () => readdirSync(join(state, 'unsent'));

async function goOffline(): Promise<void> {
  broker = await startMosquitto(['allow_anonymous true']);
  const { port } = broker;
  await broker.stop();
  // The port stays the same: an unsent message waits for the broker that it was meant for.
  broker = { ...broker, port, stop: () => Promise.resolve() };
}

async function goOnline(...lines: readonly string[]): Promise<void> {
  broker = await startMosquitto(['allow_anonymous true', ...lines], broker?.port);
}

describeWithMosquitto('a mosquitto that comes and goes', () => {
  test('what is measured offline is kept, and sent with the next report', async () => {
    await goOffline();
    const failure = send('first');
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE', kind: 'failure' });
    await expect(failure).rejects.toThrow(
      `is the broker running? (the report is kept in ${join(state, 'unsent')} and will be sent with`,
    );
    await expect(send('second')).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(waiting()).toHaveLength(3); // one birth, two benchmarks
    await goOnline();
    // The birth that waited is older than the one just published.
    await expect(send('third')).resolves.toMatchObject({ sentLater: 2, warnings: [] });
    expect(waiting()).toEqual([]);
  });

  test('what is kept holds no credentials', async () => {
    await goOffline();
    await expect(send('x')).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const kept = waiting().map((name) => readFileSync(join(state, 'unsent', name), 'utf8'));
    expect(kept).toHaveLength(2);
    expect(kept.join('')).not.toContain('secret');
  });

  test('giving up keeps the report too', async () => {
    broker = await startMosquitto(['allow_anonymous true']);
    broker.process.kill('SIGSTOP');
    await expect(send('x', AbortSignal.timeout(200))).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(waiting()).toHaveLength(2);
  });

  test('an earlier report that the broker refuses is set aside, and the others go out', async () => {
    await goOffline();
    await expect(send('x'.repeat(6000))).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(send('after it')).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await goOnline('max_packet_size 5000');
    const published = await send('small');
    expect(published.topics).toHaveLength(2);
    expect(published.sentLater).toBe(1);
    expect(published.warnings).toEqual([
      expect.stringMatching(/^an earlier report is set aside as .*\.json\.refused: .* allows 5000/),
    ]);
    expect(waiting()).toEqual([expect.stringMatching(/\.json\.refused$/)]);
    await expect(send('again')).resolves.toMatchObject({ sentLater: 0, warnings: [] });
  });

  test('a report that is too large for any broker is kept for people', async () => {
    broker = await startMosquitto(['allow_anonymous true']);
    const failure = send('x'.repeat(128 * 1024));
    await expect(failure).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(failure).rejects.toThrow('as .refused and will not be sent');
    expect(waiting()).toEqual([expect.stringMatching(/\.json\.refused$/)]);
    await expect(send('small')).resolves.toMatchObject({ sentLater: 0, warnings: [] });
  });

  test('a state folder that cannot be written is told, with the first cause', async () => {
    await goOffline();
    const file = join(state, 'file');
    writeFileSync(file, '');
    state = file;
    const failure = send('x');
    await expect(failure).rejects.toThrow('connection refused');
    await expect(failure).rejects.toThrow('the report could not be kept either: cannot');
    state = join(file, '..');
  });
});
