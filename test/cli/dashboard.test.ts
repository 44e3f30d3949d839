import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parseListen } from '../../agent/cli/dashboard/flags.ts';
import { roleChoices } from '../../agent/cli/dashboard/user.ts';
import { roles } from '../../agent/contracts/dashboard.ts';
import { run } from './support.ts';

describe('agent dashboard', () => {
  let folder = '';
  const at = (name: string) => join(folder, name);
  const dashboard = (...args: readonly string[]) =>
    run(['dashboard', ...args], { env: { EDGEFIT_STATE_DIR: folder } });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgefit-dashboard-cli-'));
    await writeFile(at('password'), 'long enough\n');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const add = (name: string, role: string, ...more: readonly string[]) =>
    dashboard('user', 'add', name, '--role', role, '--password-file', at('password'), ...more);

  test('adds, changes, lists and removes users; nobody else may read them', async () => {
    expect(await add('ada', 'viewer')).toMatchObject({ code: 0 });
    const changed = await add('ada', 'operator');
    const file = at('dashboard/users.json');
    expect(changed.err).toBe(`agent: changed ada, operator, in ${file}\n`);
    await add('bob', 'viewer');
    expect((await dashboard('user', 'ls')).out).toBe('ada\toperator\nbob\tviewer\n');
    expect(JSON.parse((await dashboard('user', 'ls', '--json')).out)).toEqual({
      schema: 'edgefit/dashboard-users/1',
      users: [
        { name: 'ada', role: 'operator' },
        { name: 'bob', role: 'viewer' },
      ],
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'utf8')).not.toContain('long enough');
    expect(await dashboard('user', 'remove', 'ada')).toMatchObject({ code: 0 });
    expect((await dashboard('user', 'ls')).out).toBe('bob\tviewer\n');
    const again = await dashboard('user', 'remove', 'ada');
    expect(again).toMatchObject({ code: 2, err: `agent: there is no user "ada" in ${file}\n` });
  });

  test('the roles of the option are those of the contract', () => {
    expect(roleChoices).toEqual(roles);
  });

  test('users may be elsewhere', async () => {
    const users = ['--users', at('people.json')];
    await add('ada', 'viewer', ...users);
    expect((await dashboard('user', 'ls', ...users)).out).toBe('ada\tviewer\n');
    expect((await dashboard('user', 'ls', '--state', at('other'))).out).toBe('');
  });

  test.each([
    [['user', 'add', '<b>', '--role', 'viewer'], /"<b>" cannot be a user: use 1 to 64/],
    [['user', 'add', 'ada', '--role', 'admin'], /Allowed choices are viewer, operator/],
    [['user', 'add', 'ada', '--role', 'viewer', '--password-file', '/nowhere'], /\/nowhere/],
    [['--listen', '127.0.0.1:0'], /which broker\? give --mqtt URL/],
    [
      ['--mqtt', 'mqtt://x', '--listen', 'everywhere'],
      /Write HOST:PORT, such as 127\.0\.0\.1:8080/,
    ],
    [['--mqtt', 'http://x'], /--mqtt: "http:\/\/x": unknown scheme/],
    [['--mqtt', 'mqtt://x', '--listen', '0.0.0.0:0'], /without TLS everybody on the network/],
    [['--mqtt', 'mqtt://x', '--tls-cert', 'c.pem'], /--tls-cert: give its key too/],
    [['--mqtt', 'mqtt://x', '--proxy-operator', 'ada'], /needs --proxy-header NAME/],
    [['--mqtt', 'mqtt://x', '--proxy-from', 'hub'], /--proxy-from: "hub" is no address/],
    [['--mqtt', 'mqtt://x', '--proxy-header', 'X-User'], /needs --proxy-from/],
    [['--mqtt', 'mqtt://x', '--public-url', 'here'], /--public-url: "here" is not the address/],
    [['--mqtt', 'mqtt://x', '--retention', '0'], /It must be more than 0/],
    [['--mqtt', 'mqtt://x', '--config', '/nowhere.yaml'], /\/nowhere\.yaml/],
    [['--mqtt', 'mqtt://x', '--postgres', 'mysql:secret'], /--postgres: write postgres:\/\/USER/],
    [
      ['--mqtt', 'mqtt://x', '--postgres-password-file', '/nowhere'],
      /--postgres-password-file: only with --postgres/,
    ],
  ])('%j is refused in one line', async (args, why) => {
    const { code, out, err } = await dashboard(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(why);
    expect(err).toMatch(/^agent: [^\n]+\n$/);
  });

  test.each([
    ['--mqtt', ['--mqtt', 'mqtt://ada:secret@x', '--listen', '0.0.0.0:0']],
    ['--postgres', ['--mqtt', 'mqtt://x', '--postgres', 'postgres://ada:secret@127.0.0.1:1/db']],
  ])('a password in the URL of %s is warned of, and not said again', async (option, args) => {
    const { code, err } = await dashboard(...args);
    expect(code).toBe(option === '--mqtt' ? 2 : 1);
    expect(err).toContain(
      `agent: everyone on this machine can see the password in the ${option} URL`,
    );
    expect(err).not.toContain('secret');
  });

  test('a short password is refused', async () => {
    await writeFile(at('password'), '123456789\n');
    const { code, err } = await add('ada', 'viewer');
    expect({ code, err }).toEqual({
      code: 2,
      err: 'agent: the password is too short: use at least 10 characters\n',
    });
  });

  test('a mistake in the file is named with its line and column', async () => {
    await writeFile(at('d.yaml'), 'mqtt:\n  url: mqtt://hub\nhistory:\n  days: lots\n');
    const bad = await dashboard('--config', at('d.yaml'));
    expect(bad).toMatchObject({
      code: 2,
      err: `agent: ${at('d.yaml')}:4:3: history.days: it must be a number, not "lots"\n`,
    });
    await writeFile(at('d.yaml'), 'listn: 1\n');
    expect((await dashboard('--config', at('d.yaml'))).err).toBe(
      `agent: ${at('d.yaml')}:1:1: listn: there is no such key\n`,
    );
    await writeFile(
      at('d.yaml'),
      'history:\n  days: lots\n  rawDays: few\nsession:\n  hours: -1\n',
    );
    expect((await dashboard('--config', at('d.yaml'))).err).toMatch(
      /:2:3: history\.days: .* \(and 2 more: history\.rawDays, session\.hours\)\n$/,
    );
    await writeFile(at('d.yaml'), 'mqtt: {url: mqtt://hub}\nlisten: 0.0.0.0:80\n');
    expect((await dashboard('--config', at('d.yaml'))).err).toMatch(/without TLS everybody/);
  });

  test.each([
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['8080', { host: '127.0.0.1', port: 8080 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    ['dash.example.com:443', { host: 'dash.example.com', port: 443 }],
    ['dash.example.com', null],
    ['127.0.0.1:70000', null],
    ['::1', null],
    ['', null],
  ])('listening at %j is %j', (text, expected) => {
    expect(parseListen(text)).toEqual(expected);
  });
});
