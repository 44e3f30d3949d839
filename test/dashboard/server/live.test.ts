import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { benchesSchema, eventSchemas, fleetSchema } from '../../../agent/contracts/dashboard.ts';
import {
  describeWithMosquitto,
  freePort,
  startMosquitto,
  type Mosquitto,
} from '../../fleet/support/mosquitto.ts';
import { benchReport } from './support/bench-report.ts';
import {
  Client,
  openDashboard,
  removeFolder,
  stateFolder,
  until,
  type TestDashboard,
} from './support/dashboard.ts';
import { Devices } from './support/devices.ts';
import { EventReader } from './support/event-reader.ts';

describeWithMosquitto('what happens in the fleet', () => {
  let mosquitto: Mosquitto;
  let folder = '';
  let dashboard: TestDashboard;
  let devices: Devices;
  let vic: Client;

  beforeAll(async () => {
    mosquitto = await startMosquitto(['allow_anonymous true'], await freePort());
    folder = await stateFolder();
    devices = await Devices.connect(mosquitto.port);
    await devices.appear('pi-1');
    dashboard = await openDashboard(folder, mosquitto.port);
    vic = await new Client(dashboard).login('vic');
    await until('the fleet is read', async () => (await vic.get('/api/fleet')).body['complete']);
  }, 30_000);

  afterAll(async () => {
    await dashboard.stop();
    await devices.close();
    await mosquitto.stop();
    await removeFolder(folder);
  });

  const historyOf = async (metrics: string) => {
    const { body } = await vic.get(`/api/devices/pi-1/history?metrics=${metrics}`);
    return (body['series'] ?? {}) as Record<string, (number | null)[][]>;
  };

  test('comes as events: of all devices, and closer of the one that is looked at', async () => {
    const all = new EventReader(vic, '/api/events');
    const one = new EventReader(vic, '/api/events?device=pi-1');
    await one.wait('broker', (data) => data['connected'] === true);
    await devices.appear('pi-2');
    await devices.telemetry('pi-1', { socCelsius: 61.5, cpuRatio: 0.5 });
    await devices.telemetry('pi-1', { cpuRatio: null });
    await devices.record('pi-1', 'j1');
    const appeared = await all.wait('devices', (data) => JSON.stringify(data).includes('pi-2'));
    eventSchemas.devices.parse(appeared.data);
    const telemetry = await one.wait('telemetry');
    expect(eventSchemas.telemetry.parse(telemetry.data)).toMatchObject({
      deviceId: 'pi-1',
      stream: 'host',
      values: { socCelsius: 61.5, cpuRatio: null },
    });
    const { data } = await one.wait('job');
    expect(eventSchemas.job.parse(data).job).toMatchObject({ jobId: 'j1', phase: 'fitting' });
    expect(all.events.filter(({ name }) => name === 'telemetry' || name === 'job')).toEqual([]);
    const row = await all.wait('devices', (seen) =>
      JSON.stringify(seen).includes('"celsius":61.5'),
    );
    expect(row).toBeDefined();
    all.close();
    one.close();
  });

  test('a device that is taken away is gone', async () => {
    const reader = new EventReader(vic, '/api/events');
    await reader.wait('broker');
    await devices.remove('pi-2');
    await reader.wait('devices', (data) => JSON.stringify(data['gone']) === '["pi-2"]');
    expect((await vic.get('/api/devices/pi-2')).status).toBe(404);
    reader.close();
  });

  test('a device that is revoked is gone, and nothing that it says is kept', async () => {
    await devices.appear('pi-9');
    const row = () => vic.get('/api/devices/pi-9');
    await until('it is there', async () => (await row()).status === 200);
    const reader = new EventReader(vic, '/api/events?device=pi-9');
    await reader.wait('broker');
    const ts = new Date().toISOString();
    const revocation = { schema: 'edgefit/revocation/1', deviceId: 'pi-9', ts, reason: null };
    await devices.publish('d/pi-9/dn/revoked', { ...revocation, actor: null, replacedBy: null });
    await reader.wait('devices', (data) => JSON.stringify(data['gone']) === '["pi-9"]');
    const telemetry = { schema: 'edgefit/telemetry/1', deviceId: 'pi-9', stream: 'host', seq: 1 };
    const values = { celsius: 99 };
    await devices.publish('d/pi-9/up/tele/host', { ...telemetry, ts: Date.now(), values }, false);
    const later = { ...telemetry, deviceId: 'pi-1', seq: 9000, ts: Date.now() };
    await devices.publish('d/pi-1/up/tele/host', { ...later, values: { later: 1 } }, false);
    const seriesOf = async (device: string, metric: string) =>
      (await vic.get(`/api/devices/${device}/history?metrics=${metric}`)).body['series'];
    await until('what came later', async () =>
      JSON.stringify(await seriesOf('pi-1', 'later')).includes(',1,1,1]'),
    );
    expect(await row()).toMatchObject({
      status: 404,
      body: { error: { text: 'pi-9 is revoked: nothing that it says is heard' } },
    });
    expect(await seriesOf('pi-9', 'celsius')).toEqual({ celsius: [] });
    expect(reader.events.filter(({ name }) => name === 'telemetry')).toEqual([]);
    reader.close();
  });

  test('reports are kept, listed, compared and exported', async () => {
    const reader = new EventReader(vic, '/api/events?device=pi-1');
    await reader.wait('broker');
    await devices.publish('d/pi-1/up/bench/b1', benchReport({ p90: 8 }), false);
    await devices.publish(
      'd/pi-1/up/bench/b2',
      benchReport({ p90: 4, name: '=cmd|calc', reason: 'fast, "very"' }),
      false,
    );
    await reader.wait('bench', (data) => JSON.stringify(data).includes('"b2"'));
    const benches = await until('both are kept', async () => {
      const { body } = await vic.get('/api/benches?device=pi-1');
      const list = body['benches'] as { benchId: string; chosen: { p90Ms: number } }[];
      return list.length === 2 && list;
    });
    expect(new Set(benches.map(({ benchId, chosen }) => `${benchId} ${chosen.p90Ms}`))).toEqual(
      new Set(['b1 8', 'b2 4']),
    );
    const pages = [];
    for (let next: unknown = ''; typeof next === 'string' && pages.length < 5;) {
      const before = next === '' ? '' : `&before=${encodeURIComponent(next)}`;
      // oxlint-disable-next-line no-await-in-loop -- one page after the other
      const { body } = await vic.get(`/api/benches?limit=1${before}`);
      next = benchesSchema.parse(body).next;
      pages.push(benchesSchema.parse(body).benches.map(({ benchId }) => benchId));
    }
    expect(pages.flat().toSorted()).toEqual(['b1', 'b2']);
    const report = await vic.get('/api/benches/pi-1/b1');
    expect(report.body).toMatchObject({ schema: 'edgefit/bench/1', chosen: 'onnxruntime/fp32/t1' });
    const compared = await vic.get('/api/compare?left=pi-1/b1&right=pi-1/b2');
    expect(compared.body['rows']).toMatchObject([
      { candidate: 'onnxruntime/fp32/t1', left: { p90Ms: 8 }, right: { p90Ms: 4 } },
    ]);
    const csv = await vic.fetch('/api/compare?left=pi-1/b1&right=pi-1/b2&format=csv');
    expect(csv.headers.get('content-disposition')).toBe('attachment; filename="comparison.csv"');
    expect(await csv.text()).toContain('onnxruntime/fp32/t1,p90Ms,8,4,0.5\r\n');
    const one = await (await vic.fetch('/api/benches/pi-1/b2?format=csv')).text();
    expect(one).toContain("pi-1,b2,'=cmd|calc,onnxruntime/fp32/t1,fp32,");
    expect(one).toContain('"fast, ""very"""');
    reader.close();
  });

  test('values of a clock that is off are dated by their arrival', async () => {
    const before = Date.now();
    await devices.telemetry('pi-1', { powerWatts: 3 }, { ts: 0 });
    await devices.telemetry('pi-1', { powerWatts: 4 }, { ts: before + 9e9 });
    const points = await until('both', async () => {
      const { powerWatts = [] } = await historyOf('powerWatts');
      return powerWatts.length > 0 && powerWatts;
    });
    for (const [ts] of points) {
      expect(ts).toBeGreaterThanOrEqual(before);
      expect(ts).toBeLessThanOrEqual(Date.now());
    }
    expect((await vic.get('/api/devices/pi-1')).body).toMatchObject({
      latest: { powerWatts: { value: 4 } },
    });
  });

  test('a flood of telemetry holds nobody up, and the rest is counted', async () => {
    const before = process.memoryUsage().rss;
    const payload = JSON.stringify({
      schema: 'edgefit/telemetry/1',
      deviceId: 'pi-1',
      stream: 'host',
      seq: 1,
      ts: Date.now(),
      mono: 1,
      bootId: null,
      full: true,
      values: Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`flood${at}`, at])),
    });
    const slowest: number[] = [];
    const topic = 'edgefit/v1/d/pi-1/up/tele/host';
    const end = Date.now() + 3000;
    for (let sent = 0; sent < 5000 || Date.now() < end; sent += 500) {
      for (let n = 1; n < 500; n += 1) devices.client.publish(topic, payload);
      // No faster than the broker takes it: what waits here would count as the dashboard's memory.
      // oxlint-disable-next-line no-await-in-loop -- one burst after the other
      await devices.client.publishAsync(topic, payload);
      const started = performance.now();
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      const { status } = await vic.get('/api/fleet');
      slowest.push(performance.now() - started);
      expect(status).toBe(200);
    }
    expect(Math.max(...slowest)).toBeLessThan(2000);
    // Twenty messages a second of one device are looked at.
    await until('it is counted', () =>
      dashboard.warnings.some((line) => /^\d+ messages were not kept/.test(line)),
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
    await until('what comes afterwards is kept', async () => {
      await devices.telemetry('pi-1', { afterwards: 1 });
      return (await historyOf('afterwards'))['afterwards']?.length;
    });
  }, 40_000);

  test('a flood of status holds nobody up, and the last one counts', async () => {
    // One of its own: what is not kept is told once in a minute.
    const ownFolder = await stateFolder();
    const own = await openDashboard(ownFolder, mosquitto.port);
    try {
      const reader = await new Client(own).login('vic');
      const fleet = async () => fleetSchema.parse((await reader.get('/api/fleet')).body);
      const stateOf = async (device: string) =>
        (await fleet()).devices.find(({ deviceId }) => deviceId === device)?.state;
      const send = (deviceId: string, state: string, session: number) =>
        devices.client.publishAsync(
          `edgefit/v1/d/${deviceId}/up/status`,
          JSON.stringify({ schema: 'edgefit/status/1', deviceId, state, session }),
          { qos: state === 'draining' ? 1 : 0 },
        );
      await devices.appear('pi-7');
      await until('the fleet is read', async () => (await fleet()).complete);
      await Promise.all(
        Array.from({ length: 5000 }, (_, at) => send('pi-1', 'online', 1_000_000 + at)),
      );
      await send('pi-1', 'draining', 1_005_000);
      await send('pi-7', 'draining', 1_005_000);
      await until('the other is heard', async () => (await stateOf('pi-7')) === 'draining');
      await until('its last word counts', async () => (await stateOf('pi-1')) === 'draining');
      // Nothing else is refused here: these are the ones that newer ones have overtaken.
      await until('the rest is counted', () =>
        own.warnings.some((line) => /^\d+ messages were not kept/.test(line)),
      );
      await devices.remove('pi-7');
      await until('the other is gone', async () => (await stateOf('pi-7')) === undefined);
      expect((await reader.get('/api/devices/pi-1')).body['row']).toMatchObject({
        state: 'draining',
      });
    } finally {
      await own.stop();
      await removeFolder(ownFolder);
    }
  }, 40_000);

  test('who reads the fleet all the time is told to wait, the others not', async () => {
    const strictFolder = await stateFolder();
    const strict = await openDashboard(strictFolder, mosquitto.port, { fleetReadsPerMinute: 3 });
    try {
      const [greedy, other] = [new Client(strict), new Client(strict)];
      await greedy.login('vic');
      await other.login('ada');
      for (let read = 0; read < 3; read += 1) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        expect((await greedy.get('/api/fleet')).status).toBe(200);
      }
      const refused = await greedy.fetch('/api/fleet');
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await other.get('/api/fleet')).status).toBe(200);
      expect((await greedy.get('/api/rollouts')).status).toBe(200);
    } finally {
      await strict.stop();
      await removeFolder(strictFolder);
    }
  });

  test('a restart forgets logins, and nothing else', async () => {
    await until('a value is kept', async () => {
      // Again, as the flood may have used up this second.
      await devices.telemetry('pi-1', { socCelsius: 44 });
      const points = (await historyOf('socCelsius'))['socCelsius'] ?? [];
      return points.some(([, , min]) => min === 44);
    });
    await dashboard.stop();
    dashboard = await openDashboard(folder, mosquitto.port);
    expect((await vic.get('/api/fleet').catch(() => ({ status: 0 }))).status).toBe(0);
    expect((await new Client(dashboard).get('/api/fleet')).status).toBe(401);
    vic = await new Client(dashboard).login('vic');
    expect((await historyOf('socCelsius'))['socCelsius']?.length).toBeGreaterThan(0);
    expect((await vic.get('/api/benches')).body['benches']).toHaveLength(2);
    await until('the fleet is read', async () => (await vic.get('/api/fleet')).body['complete']);
    expect((await vic.get('/api/devices/pi-1')).body['jobs']).toMatchObject([{ jobId: 'j1' }]);
  }, 30_000);

  test('a broker that is lost is said so, the last state stays, and it comes back', async () => {
    const reader = new EventReader(vic, '/api/events');
    await reader.wait('broker', (data) => data['connected'] === true);
    const { port } = mosquitto;
    await mosquitto.stop();
    await reader.wait('broker', (data) => data['connected'] === false);
    const { body } = await vic.get('/api/fleet');
    expect(body['broker']).toMatchObject({ connected: false, reason: expect.any(String) });
    expect(body['devices']).toMatchObject([{ deviceId: 'pi-1', model: { version: '2.0' } }]);
    mosquitto = await startMosquitto(['allow_anonymous true'], port);
    await until(
      'it is back',
      () => {
        const last = reader.events.findLast(({ name }) => name === 'broker');
        return last?.data['connected'] === true;
      },
      20_000,
    );
    reader.close();
  }, 40_000);
});
