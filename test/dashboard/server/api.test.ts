import { get, type IncomingMessage } from 'node:http';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fleetSchema, sessionSchema } from '../../../agent/contracts/dashboard.ts';
import { verifyDocument } from '../../../agent/fleet/protocol/signed.ts';
import { jobDocumentSchema } from '../../../agent/contracts/job.ts';
import {
  describeWithMosquitto,
  startMosquitto,
  type Mosquitto,
} from '../../fleet/support/mosquitto.ts';
import {
  Client,
  openDashboard,
  removeFolder,
  stateFolder,
  testSigner,
  until,
  type TestDashboard,
} from './support/dashboard.ts';
import { Devices } from './support/devices.ts';

const MARKUP = '<img src=x onerror=alert(1)>';

describeWithMosquitto('the API, with a broker and devices', () => {
  const { signer, public: publicKey } = testSigner();
  let mosquitto: Mosquitto;
  let folder = '';
  let dashboard: TestDashboard;
  let devices: Devices;
  let ada: Client;
  let vic: Client;

  beforeAll(async () => {
    mosquitto = await startMosquitto(['allow_anonymous true']);
    folder = await stateFolder();
    await mkdir(join(folder, 'page'));
    await writeFile(
      join(folder, 'page/index.html'),
      `<!doctype html>${'<p>edgefit</p>'.repeat(99)}`,
    );
    await writeFile(join(folder, 'page/app-0A1B2C3D.js'), 'export const x = 1;');
    devices = await Devices.connect(mosquitto.port);
    await devices.appear('pi-1');
    await devices.appear('pi-2', { model: MARKUP });
    dashboard = await openDashboard(folder, mosquitto.port, {
      signers: [signer],
      timeoutMs: 1000,
    });
    ada = await new Client(dashboard).login('ada');
    vic = await new Client(dashboard).login('vic');
    await until('the fleet is read', async () => (await vic.get('/api/fleet')).body['complete']);
  }, 30_000);

  afterAll(async () => {
    await dashboard.stop();
    await devices.close();
    await mosquitto.stop();
    await removeFolder(folder);
  });

  /** Status for nobody, a viewer and an operator. The operator's is that of a request that is allowed. */
  const ROUTES: readonly (readonly [string, string, number, number, number])[] = [
    ['GET', '/api/session', 401, 200, 200],
    ['GET', '/api/fleet', 401, 200, 200],
    ['GET', '/api/models', 401, 200, 200],
    ['GET', '/api/devices/pi-1', 401, 200, 200],
    ['GET', '/api/devices/pi-1/history?metrics=socCelsius', 401, 200, 200],
    ['GET', '/api/devices/pi-1/history?metrics=a%00', 401, 400, 400],
    ['GET', '/api/devices/pi-1/history?metrics=a&from=-1e300&to=1e300', 401, 400, 400],
    ['GET', '/api/devices/none', 401, 404, 404],
    ['GET', '/api/rollouts', 401, 200, 200],
    ['GET', '/api/rollouts/none', 401, 404, 404],
    ['GET', '/api/benches', 401, 200, 200],
    ['GET', '/api/benches?limit=0', 401, 400, 400],
    ['GET', '/api/benches?before=9999999999999/pi-1/b', 401, 400, 400],
    ['GET', '/api/benches?before=1795722617667/pi-1/b', 401, 200, 200],
    ['GET', '/api/benches/pi-1/none', 401, 404, 404],
    ['GET', '/api/compare?left=pi-1/a&right=pi-1/b', 401, 404, 404],
    ['GET', '/api/events?device=%3Cb%3E', 401, 400, 400],
    ['POST', '/api/devices/pi-1/actions', 401, 403, 400],
    ['POST', '/api/rollouts/plan', 401, 403, 400],
    ['POST', '/api/rollouts', 401, 403, 400],
    ['POST', '/api/rollouts/r1/approve', 401, 403, 503],
    ['POST', '/api/rollouts/r1/pause', 401, 403, 503],
    ['POST', '/api/rollouts/r1/resume', 401, 403, 503],
    ['POST', '/api/rollouts/r1/abort', 401, 403, 503],
    ['POST', '/api/rollouts/r1/rollback', 401, 403, 503],
    ['POST', '/api/rollouts/r1/explode', 401, 403, 400],
    ['GET', '/api/nothing', 404, 404, 404],
  ];
  test.each(ROUTES)('%s %s: nobody %d, viewer %d, operator %d', async (method, path, ...wanted) => {
    const clients = [new Client(dashboard), vic, ada];
    const answers = await Promise.all(
      clients.map((client) => (method === 'GET' ? client.get(path) : client.post(path))),
    );
    expect(answers.map(({ status }) => status)).toEqual(wanted);
    const refusals = answers.filter(({ status }) => status !== 200).map(({ body }) => body);
    const refusal = { error: { code: expect.any(String), text: expect.any(String) } };
    expect(refusals).toEqual(refusals.map(() => refusal));
  });

  test('a request that changes something needs the token, and our own page', async () => {
    const body = { action: 'selfcheck' };
    const path = '/api/devices/pi-1/actions';
    const without = await ada.post(path, body, { 'x-csrf-token': '' });
    const stranger = await ada.post(path, body, { origin: 'https://evil.example' });
    const crossSite = await ada.post(path, body, { 'sec-fetch-site': 'cross-site' });
    const other = await ada.post(path, body, { 'x-csrf-token': vic.csrf });
    const form = await ada.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', 'x-csrf-token': ada.csrf },
      body: JSON.stringify(body),
    });
    expect([without, stranger, crossSite, other, form].map(({ status }) => status)).toEqual([
      403, 403, 403, 403, 400,
    ]);
    expect(without.body).toMatchObject({ error: { code: 'csrf' } });
    const login = { user: 'vic', password: 'vic-password' };
    const forced = await new Client(dashboard).post('/api/login', login, { origin: 'http://evil' });
    expect(forced.status).toBe(403);
  });

  test('it is not called by another name (DNS rebinding)', async () => {
    const { request } = await import('undici');
    const { statusCode, body } = await request(new URL('/api/fleet', dashboard.url), {
      headers: { host: 'evil.example', cookie: ada.cookie },
    });
    expect(statusCode).toBe(403);
    await body.dump();
  });

  test('the cookie is for this server alone, and the session says who it is', async () => {
    const login = await new Client(dashboard).post('/api/login', {
      user: 'vic',
      password: 'vic-password',
    });
    expect(login.headers.get('set-cookie')).toMatch(
      /^edgefit-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(sessionSchema.parse(login.body)).toMatchObject({
      user: 'vic',
      role: 'viewer',
      version: '9.9.9',
      login: 'password',
      readOnly: null,
    });
  });

  test('whoever logs out is out', async () => {
    const client = await new Client(dashboard).login('vic');
    expect((await client.post('/api/logout')).status).toBe(204);
    expect((await client.get('/api/fleet')).status).toBe(401);
  });

  test('the fleet is there; what devices call things is passed on as it is', async () => {
    const { body } = await vic.get('/api/fleet');
    const fleet = fleetSchema.parse(body);
    expect(fleet.devices.map(({ deviceId }) => deviceId).toSorted()).toEqual(['pi-1', 'pi-2']);
    expect(fleet.devices.find(({ deviceId }) => deviceId === 'pi-2')?.model?.name).toBe(MARKUP);
    expect(fleet.devices[0]).toMatchObject({ state: 'online', class: 'rpi-5', p90Ms: 4.5 });
    expect(fleet.broker).toMatchObject({
      connected: true,
      url: `mqtt://127.0.0.1:${mosquitto.port}`,
    });
  });

  test('a device with markup for a name is none', async () => {
    await devices.publish('d/<b>x/up/status', { deviceId: '<b>x' });
    expect((await vic.get('/api/devices/%3Cb%3Ex')).status).toBe(400);
    expect((await vic.get('/api/devices/..%2F..%2Fetc')).status).toBe(400);
    const { body } = await vic.get('/api/fleet');
    expect(JSON.stringify(body)).not.toContain('<b>x');
  });

  test('an operator orders a job: signed, for this device, with the next counter', async () => {
    const arrived: { topic: string; payload: Buffer }[] = [];
    devices.client.on('message', (topic, payload) => arrived.push({ topic, payload }));
    await devices.client.subscribeAsync('edgefit/v1/d/pi-1/dn/job/+', { qos: 1 });
    const { status, body } = await ada.post('/api/devices/pi-1/actions', { action: 'bench' });
    expect({ status, body }).toEqual({ status: 200, body: { jobId: expect.any(String) } });
    const jobId = String(body['jobId']);
    const sent = await until('the job', () => arrived.find(({ topic }) => topic.endsWith(jobId)));
    const { signed } = verifyDocument(sent.payload, {
      type: 'job',
      deviceId: 'pi-1',
      keyring: { keys: new Map([[signer.keyId, publicKey]]), threshold: 1 },
      nowMs: Date.now(),
      minCounter: 5,
    });
    expect(jobDocumentSchema.parse(signed)).toMatchObject({
      jobType: 'bench',
      model: { name: 'kws' },
      counter: 5,
    });
  });

  test.each([
    [{ action: 'reboot' }, 400],
    [{ action: 'bench', model: '../x' }, 400],
    [{ action: 'bench', extra: 1 }, 400],
  ])('the action %j is %d', async (body, status) => {
    expect((await ada.post('/api/devices/pi-1/actions', body)).status).toBe(status);
  });

  test('large and broken bodies are refused in one line', async () => {
    const large = await ada.post('/api/rollouts/plan', { spec: 'x'.repeat(70_000) });
    expect(large).toMatchObject({ status: 413, body: { error: { code: 'too_large' } } });
    const broken = await ada.fetch('/api/rollouts', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-csrf-token': ada.csrf },
      body: '{"spec":',
    });
    expect(broken.status).toBe(400);
    const waves = { spec: { model: { name: 'kws', version: '2' }, waves: [0] } };
    expect((await ada.post('/api/rollouts/plan', waves)).body).toMatchObject({
      error: { code: 'bad_request', text: expect.stringMatching(/^spec\.waves\.0: /) },
    });
  });

  test('the page comes from memory: compressed, tagged, for ever where its name says so', async () => {
    const page = await new Client(dashboard).fetch('/', {
      headers: { 'accept-encoding': 'gzip, br' },
    });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-encoding')).toBe('br');
    expect(page.headers.get('cache-control')).toBe('no-cache');
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; /);
    expect(page.headers.get('content-security-policy')).not.toMatch(/unsafe/);
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await page.text()).toContain('<p>edgefit</p>');
    const etag = page.headers.get('etag') ?? '';
    const again = await new Client(dashboard).fetch('/', {
      headers: { 'accept-encoding': 'gzip, br', 'if-none-match': etag },
    });
    expect(again.status).toBe(304);
    const script = await new Client(dashboard).fetch('/app-0A1B2C3D.js');
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    const outside = await new Client(dashboard).fetch('/..%2fusers.json');
    expect(outside.status).toBe(404);
    expect(await outside.text()).not.toContain('scrypt');
  });

  test.each([
    ['/?x=//', 200],
    ['//', 404],
    ['//[', 404],
    ['/devices/pi-1', 404],
    ['//a:b:c/x.js', 404],
    ['/%zz', 400],
    ['/../../etc/passwd', 404],
    ['/..%2fusers.json', 404],
  ])('the odd address %s is answered, %d, and does not fill the log', async (path, status) => {
    const { port } = dashboard;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ host: '127.0.0.1', port, path }, resolve).on('error', reject);
    });
    const chunks = await answer.toArray();
    const text = Buffer.concat(chunks).toString();
    expect(answer.statusCode).toBe(status);
    expect(text).toMatch(status === 200 ? /^<!doctype html>/ : /^\{"error":\{"code":/);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    expect(dashboard.warnings.filter((line) => line.includes('a request failed'))).toEqual([]);
  });

  test('whoever guesses is turned away after a while, and others are not', async () => {
    const guesses: number[] = [];
    for (let guess = 0; guess < 7; guess += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as a guesser would
      const { status } = await new Client(dashboard).post('/api/login', {
        user: 'mallory',
        password: `guess-${guess}`,
      });
      guesses.push(status);
    }
    expect(guesses).toEqual([401, 401, 401, 401, 401, 429, 429]);
    await expect(new Client(dashboard).login('vic')).resolves.toBeDefined();
  });
});
