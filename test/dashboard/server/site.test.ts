import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Agent, request } from 'undici';
import { builtModule } from '../../../agent/util/paths.ts';
import { makeCa, makeCertificate } from '../../fleet/support/certificates.ts';
import { freePort } from '../../fleet/support/mosquitto.ts';
import { describeIf } from '../../support/available.ts';
import {
  Client,
  openDashboard,
  removeFolder,
  stateFolder,
  until,
  type TestDashboard,
} from './support/dashboard.ts';

const LOGIN = { user: 'vic', password: 'vic-password' };

describeIf('openssl')('where the dashboard stands', () => {
  let folder = '';
  let dashboard: TestDashboard | null = null;
  beforeEach(async () => {
    folder = await stateFolder();
  });
  afterEach(async () => {
    await dashboard?.stop();
    dashboard = null;
    await removeFolder(folder);
  });

  test('over TLS the cookie is for TLS alone, and browsers are told to stay', async () => {
    const ca = makeCa(folder, 'ca');
    const files = makeCertificate(folder, ca, 'localhost', 'DNS:localhost,IP:127.0.0.1');
    const tls = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
    dashboard = await openDashboard(folder, await freePort(), { tls });
    expect(dashboard.url).toMatch(/^https:/);
    const dispatcher = new Agent({ connect: { ca: readFileSync(ca.cert, 'utf8') } });
    const { statusCode, headers, body } = await request(new URL('/api/login', dashboard.url), {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/json', origin: dashboard.url.slice(0, -1) },
      body: JSON.stringify(LOGIN),
    });
    await body.dump();
    await dispatcher.close();
    expect(statusCode).toBe(200);
    expect(headers['strict-transport-security']).toBe('max-age=31536000');
    expect(headers['set-cookie']).toMatch(
      /^__Host-edgefit=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
  }, 20_000);

  test('a proxy names the user; a stranger who does the same is nobody', async () => {
    const proxy = { header: 'X-Forwarded-User', operators: ['ann'] };
    dashboard = await openDashboard(folder, await freePort(), {
      proxy,
      proxyFrom: ['127.0.0.1/32'],
      publicUrl: 'https://dash.example.com',
    });
    const { url: _, ...rest } = dashboard;
    expect(rest.users).toBe(2);
    const port = dashboard.port;
    const ask = async (headers: Record<string, string>, path = '/api/session', init = {}) => {
      const answer = await request(`http://127.0.0.1:${port}${path}`, {
        headers: { host: 'dash.example.com', ...headers },
        ...init,
      });
      return { status: answer.statusCode, body: await answer.body.text() };
    };
    const ann = await ask({ 'x-forwarded-user': 'ann' });
    expect(JSON.parse(ann.body)).toMatchObject({ user: 'ann', role: 'operator', login: 'proxy' });
    const bob = await ask({ 'x-forwarded-user': 'bob' });
    expect(JSON.parse(bob.body)).toMatchObject({ user: 'bob', role: 'viewer' });
    expect((await ask({})).status).toBe(401);
    expect((await ask({ 'x-forwarded-user': 'ann', host: 'evil.example' })).status).toBe(403);
    const rebound = { host: 'evil.example', 'x-forwarded-host': 'dash.example.com' };
    expect((await ask({ 'x-forwarded-user': 'ann', ...rebound })).status).toBe(403);
    const byProxy = { host: `127.0.0.1:${port}`, 'x-forwarded-host': 'dash.example.com' };
    expect((await ask({ 'x-forwarded-user': 'ann', ...byProxy })).status).toBe(200);
    const { csrf } = JSON.parse(ann.body) as { csrf: string };
    const act = (headers: Record<string, string>) =>
      ask(
        { 'x-forwarded-user': 'ann', 'content-type': 'application/json', ...headers },
        '/api/rollouts/plan',
        { method: 'POST', body: '{}' },
      );
    expect((await act({})).status).toBe(403);
    const token = { 'x-csrf-token': csrf };
    expect((await act({ ...token, origin: 'https://evil.example' })).status).toBe(403);
    // Past every check: the body is what is wrong with it.
    expect((await act({ ...token, origin: 'https://dash.example.com' })).status).toBe(400);
    await dashboard.stop();
    dashboard = await openDashboard(folder, await freePort(), {
      proxy,
      proxyFrom: ['10.0.0.0/8'],
    });
    const stranger = new Client(dashboard);
    const answer = await stranger.fetch('/api/session', { headers: { 'x-forwarded-user': 'ann' } });
    expect(answer.status).toBe(401);
  }, 20_000);

  test('a renewed certificate is served without a restart, a broken one is not', async () => {
    const ca = makeCa(folder, 'ca');
    const first = makeCertificate(folder, ca, 'first', 'DNS:localhost');
    const second = makeCertificate(folder, ca, 'second', 'DNS:localhost');
    const read = ({ cert, key }: { cert: string; key: string }) => {
      return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
    };
    let files = read(first);
    const readTls = async () => files;
    const rest = { tls: files, readTls, tlsCheckMs: 20 };
    const opened = await openDashboard(folder, await freePort(), rest);
    dashboard = opened;
    const servedName = () =>
      new Promise<unknown>((done, fail) => {
        const socket = connect({ port: opened.port, rejectUnauthorized: false }, () => {
          done(socket.getPeerCertificate().subject.CN);
          socket.destroy();
        }).once('error', fail);
      });
    expect(await servedName()).toBe('first');
    files = { cert: read(second).cert, key: read(first).key };
    await until('it is told', () => opened.warnings.some((line) => line.includes('old one stays')));
    expect(await servedName()).toBe('first');
    files = read(second);
    await until('the new one', async () => (await servedName()) === 'second');
    expect(opened.warnings.filter((line) => line.includes('old one stays'))).toHaveLength(1);
  }, 20_000);

  test('without a broker it starts, says so, and ends within seconds of SIGTERM', async () => {
    const args = ['--mqtt', `mqtt://127.0.0.1:${await freePort()}`, '--listen', '0'];
    const child = spawn(
      process.execPath,
      [builtModule('cli/main'), 'dashboard', ...args, '--state', folder],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const ended = once(child, 'exit');
    let log = '';
    child.stderr.on('data', (data) => (log += String(data)));
    const url = await until(
      'its address',
      () => /the dashboard is at (\S+)/.exec(log)?.[1],
      20_000,
    );
    expect(log).toContain('agent: without --key everybody can only look\n');
    const client = await new Client({ url, port: 0, users: 0, stop: async () => undefined }).login(
      'ada',
    );
    const session = await client.get('/api/session');
    expect(session.body).toMatchObject({ role: 'operator', readOnly: expect.any(String) });
    expect((await client.get('/api/fleet')).body).toMatchObject({
      devices: [],
      broker: { connected: false },
      complete: false,
    });
    const act = await client.post('/api/rollouts/r1/pause');
    expect(act).toMatchObject({ status: 403, body: { error: { code: 'read_only' } } });
    const events = client.fetch('/api/events').then((response) => response.text());
    await until('the stream', () => client.get('/api/session'));
    const started = performance.now();
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(performance.now() - started).toBeLessThan(5000);
    await events.catch(() => undefined);
  }, 60_000);

  test('a certificate that OpenSSL does not take is said in one line, and nothing stays open', async () => {
    const [cert, key] = [join(folder, 'weak.crt'), join(folder, 'weak.key')];
    const short = ['req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=localhost'];
    spawnSync('openssl', [...short, '-out', cert, '-keyout', key]);
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        builtModule('cli/main'),
        'dashboard',
        '--mqtt',
        `mqtt://127.0.0.1:${await freePort()}`,
      ].concat(['--listen', '0', '--state', folder, '--tls-cert', cert, '--tls-key', key]),
      { encoding: 'utf8', timeout: 20_000 },
    );
    expect(stderr).toMatch(
      /^agent: --tls-cert: OpenSSL does not take [^\n]*key too small[^\n]*\n$/,
    );
    expect(status).toBe(2);
  }, 30_000);

  test('a port that is taken is said in one line', async () => {
    dashboard = await openDashboard(folder, await freePort());
    const other = openDashboard(join(folder, 'other'), await freePort(), { port: dashboard.port });
    await expect(other).rejects.toMatchObject({
      code: 'LISTEN',
      kind: 'failure',
      message: expect.stringMatching(/another program listens there; choose another with --listen/),
    });
  });
});
