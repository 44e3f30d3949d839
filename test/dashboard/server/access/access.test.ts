import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { networkOf } from '../../../../agent/dashboard/server/access/network.ts';
import { proxyLogin } from '../../../../agent/dashboard/server/access/proxy.ts';
import { Sessions } from '../../../../agent/dashboard/server/access/sessions.ts';
import { siteOf } from '../../../../agent/dashboard/server/access/site.ts';
import {
  changeUsers,
  readUsers,
  writeUsers,
} from '../../../../agent/dashboard/server/access/users.ts';
import { hashPassword } from '../../../../agent/dashboard/server/access/passwords.ts';

const MINUTE = 60_000;
const limits = { idleMs: 30 * MINUTE, totalMs: 120 * MINUTE };

describe('sessions', () => {
  test('end when unused, and at the latest after their time', () => {
    let now = 0;
    const sessions = new Sessions(limits, () => now);
    const { token } = sessions.create('ada', 'proof');
    for (now = 0; now <= 120 * MINUTE; now += 30 * MINUTE) {
      expect(sessions.use(token)?.user).toBe('ada');
    }
    now = 120 * MINUTE + 1;
    expect(sessions.use(token)).toBeNull();
    const second = sessions.create('ada', 'proof').token;
    now += 30 * MINUTE + 1;
    expect(sessions.use(second)).toBeNull();
  });

  test('of one user are bounded: the oldest goes', () => {
    const sessions = new Sessions(limits, () => 0);
    const other = sessions.create('bob', 'proof').token;
    const tokens = Array.from({ length: 21 }, () => sessions.create('ada', 'proof').token);
    expect(sessions.use(tokens[0] ?? '')).toBeNull();
    expect(sessions.use(tokens[1] ?? '')).not.toBeNull();
    expect(sessions.use(other)).not.toBeNull();
    expect(sessions.use('guessed')).toBeNull();
  });
});

describe('users file', () => {
  let folder = '';
  let file = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgefit-users-'));
    file = join(folder, 'users.json');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('is for its owner alone, and is refused when it is not', async () => {
    expect(await readUsers(file)).toEqual([]);
    const user = { name: 'ada', role: 'operator' as const, password: await hashPassword('12345') };
    await writeUsers(file, [user]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readUsers(file)).toEqual([user]);
    await chmod(file, 0o640);
    await expect(readUsers(file)).rejects.toMatchObject({
      code: 'BAD_USERS',
      kind: 'input',
      message: `${file}: others may read it: chmod 600 ${file}`,
    });
  });

  test('many who change it at once lose nothing of each other', async () => {
    const password = await hashPassword('12345');
    const names = Array.from({ length: 20 }, (_, at) => `user-${at}`);
    const add = (name: string) =>
      changeUsers(file, (users) => [...users, { name, role: 'viewer', password }]);
    await Promise.all(names.map(add));
    await Promise.all(
      ['user-3', 'user-4'].map((gone) =>
        changeUsers(file, (users) => users.filter(({ name }) => name !== gone)),
      ),
    );
    const kept = names.filter((name) => name !== 'user-3' && name !== 'user-4');
    expect((await readUsers(file)).map(({ name }) => name)).toEqual(kept.toSorted());
    expect(await readdir(folder)).toEqual(['users.json']);
  }, 20_000);

  test('a lock that a dead process has left behind does not last', async () => {
    const lock = join(folder, '.lock');
    const { pid } = spawnSync(process.execPath, ['--version']);
    await writeFile(lock, `${pid}\n`);
    await changeUsers(file, () => []);
    expect(await readUsers(file)).toEqual([]);
    const refuse = () => {
      throw new Error('no');
    };
    await expect(changeUsers(file, refuse)).rejects.toThrow('no');
    expect(await readdir(folder)).toEqual(['users.json']);
  });

  // However old: a command that was stopped for a minute goes on with the list that it has read.
  test('a lock of a process that lives is waited for', async () => {
    const lock = join(folder, '.lock');
    await writeFile(lock, `${process.pid}\n`);
    const before = new Date(Date.now() - 60_000);
    await utimes(lock, before, before);
    const steps: string[] = [];
    const changing = changeUsers(file, () => []).then(() => steps.push('changed'));
    await sleep(300);
    steps.push('released');
    await rm(lock);
    await changing;
    expect(steps).toEqual(['released', 'changed']);
  });

  test.each([
    ['users: [', /it is not YAML/],
    ['users:\n  - name: ada\n    role: admin\n    password: x', /users\.0\.role/],
    ['users:\n  - name: "../x"\n    role: viewer\n    password: x', /users\.0\.name: use 1 to 64/],
    ['users:\n  - name: ada\n    role: viewer\n    password: plain', /users\.0\.password/],
    ['people: []', /users/],
  ])('%j is refused in one line', async (text, why) => {
    await writeFile(file, text, { mode: 0o600 });
    await expect(readUsers(file)).rejects.toMatchObject({ code: 'BAD_USERS' });
    await expect(readUsers(file)).rejects.toThrow(why);
  });
});

describe('proxy login', () => {
  const proxy = proxyLogin({
    header: 'X-Forwarded-User',
    from: ['127.0.0.1/32', '10.1.0.0/16', 'fd00::/8'],
    operators: ['ada'],
  });
  const named = (user: string) => ({ 'x-forwarded-user': user });

  test.each([
    ['127.0.0.1', 'ada', { user: 'ada', role: 'operator' }],
    ['::ffff:10.1.255.3', 'bob', { user: 'bob', role: 'viewer' }],
    ['fd12::7', 'bob', { user: 'bob', role: 'viewer' }],
    ['127.0.0.2', 'ada', null],
    ['10.2.0.1', 'ada', null],
    ['fe80::1', 'ada', null],
    ['', 'ada', null],
    ['127.0.0.1', '<b>ada</b>', null],
    ['127.0.0.1', 'ada, bob', null],
    ['127.0.0.1', '', null],
  ])('from %s, %j is %j', (address, user, expected) => {
    expect(proxy.identify(named(user), address)).toEqual(expected);
  });

  test.each([
    [{ header: 'X Y', from: ['127.0.0.1'] }, /no name of a header/],
    [{ header: 'X-User', from: [] }, /needs --proxy-from/],
    [{ header: 'X-User', from: ['127.0.0.1/33'] }, /no address or network/],
    [{ header: 'X-User', from: ['localhost'] }, /no address or network/],
    [{ header: 'X-User', from: ['::1/129'] }, /no address or network/],
    [{ header: 'X-User', from: ['10.0.0.0/8/8'] }, /no address or network/],
  ])('%j is refused', (settings, why) => {
    expect(() => proxyLogin({ ...settings, operators: [] })).toThrow(why);
  });
});

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:0:1::5', '2001:db8:0:1::/64'],
  ['2001:0DB8::1:ffff:ffff:ffff:ffff', '2001:db8:0:1::/64'],
  ['2001:db8:0:2::5', '2001:db8:0:2::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4::/64'],
  ['1:2:3:4:5:6::', '1:2:3:4::/64'],
])('logins from %s count for %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

describe('where it listens', () => {
  const site = (host: string, rest: Partial<Parameters<typeof siteOf>[0]> = {}) =>
    siteOf({ host, port: 1, isTls: false, publicUrl: null, isInsecure: false, ...rest });

  test.each(['127.0.0.1', '127.9.9.9', '::1', 'localhost'])('%s needs nothing', (host) => {
    expect(site(host).hosts?.has('localhost')).toBe(true);
  });

  test.each(['0.0.0.0', '::', '192.168.1.4', 'dash.example.com', '127.0.0.1.example.com'])(
    '%s is refused without TLS until somebody says so',
    (host) => {
      expect(() => site(host)).toThrow(/without TLS everybody on the network could read passwords/);
      expect(site(host, { isTls: true }).hosts).toBeNull();
      expect(site(host, { isInsecure: true }).hosts).toBeNull();
    },
  );

  test('a public URL says by which name and origin it is called', () => {
    expect(site('127.0.0.1', { publicUrl: 'https://dash.example.com' })).toEqual({
      hosts: new Set(['localhost', '127.0.0.1', '[::1]', 'dash.example.com']),
      origin: 'https://dash.example.com',
      isLocal: true,
    });
    expect(() => site('127.0.0.1', { publicUrl: 'dash.example.com' })).toThrow(/--public-url/);
    expect(() => site('127.0.0.1', { publicUrl: 'https://x/y' })).toThrow(/--public-url/);
  });
});
