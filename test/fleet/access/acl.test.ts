import { readFileSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import {
  aclFile,
  revokedIn,
  withoutPassword,
  withRevoked,
} from '../../../agent/fleet/access/acl.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';
import { guarded, put, readable, writable } from './broker.ts';

jest.setTimeout(30_000);

const ROLES = { operators: ['ann'], dashboards: ['wall'], controllers: ['ctl-1'] };
const USERS = ['pi-7', 'pi-8', 'ann', 'wall', 'ctl-1'];
const R = 'edgefit/v1';

/** One topic of every kind, with devices pi-7, pi-8, and one that is called like the dashboard. */
const TOPICS = [
  ...['pi-7', 'pi-8', 'wall'].flatMap((device) =>
    [
      'up/status',
      'up/birth',
      'up/card/0a',
      'up/job/j1',
      'up/bench/b1',
      'up/tele/host',
      'up/twin',
      'dn/twin',
      'dn/job/j1',
      'dn/req/ping',
      'dn/revoked',
    ].map((rest) => `${R}/d/${device}/${rest}`),
  ),
  `${R}/c/ctl-1/status`,
  `${R}/c/ctl-1/rsp/pi-7/q1`,
  `${R}/c/ctl-1/rsp/pi-8/q1`,
  `${R}/g/all/dn/announce`,
  `${R}/r/r1/state`,
  `${R}/r/r1/cmd/q1`,
  `${R}/r/r1/rsp/q1`,
  'something/else',
];

const ofDevice = (device: string, direction: string) =>
  TOPICS.filter((topic) => topic.startsWith(`${R}/d/${device}/${direction}/`));
const ours = TOPICS.filter((topic) => topic.startsWith(`${R}/`));

describeWithMosquitto('the ACL at a real mosquitto', () => {
  test('gives everybody what they need and nothing else', async () => {
    const broker = await guarded(aclFile(ROLES, []), USERS);
    const rights = async (user: string) => {
      const client = await broker.client(user);
      return {
        writes: await writable(client, TOPICS),
        reads: await readable(broker, client, TOPICS),
      };
    };
    expect(await rights('pi-7')).toEqual({
      writes: [...ofDevice('pi-7', 'up'), `${R}/c/ctl-1/rsp/pi-7/q1`],
      reads: [`${R}/d/pi-7/up/status`, ...ofDevice('pi-7', 'dn'), `${R}/g/all/dn/announce`],
    });
    const ann = await rights('ann');
    expect(ann.reads).toEqual(ours);
    expect(ann.writes).toEqual([
      ...['pi-7', 'pi-8', 'wall'].flatMap((device) => [
        ...ofDevice(device, 'up'),
        ...ofDevice(device, 'dn'),
      ]),
      `${R}/g/all/dn/announce`,
      `${R}/r/r1/cmd/q1`,
    ]);
    const wall = await rights('wall');
    expect(wall.writes).toEqual([]);
    expect(wall.reads).toEqual(ours.filter((topic) => !topic.includes('/d/wall/')));
    const controller = await rights('ctl-1');
    expect(controller.reads).toEqual(ours);
    expect(controller.writes).toEqual([
      ...['pi-7', 'pi-8', 'wall'].flatMap((device) => ofDevice(device, 'dn')),
      `${R}/c/ctl-1/status`,
      `${R}/g/all/dn/announce`,
      `${R}/r/r1/state`,
      `${R}/r/r1/rsp/q1`,
    ]);
  });

  test('a revoked device loses everything at the next reload, others nothing', async () => {
    const broker = await guarded(aclFile(ROLES, []), USERS);
    const revoked = await broker.client('pi-7');
    expect(await writable(revoked, [`${R}/d/pi-7/up/status`])).toHaveLength(1);
    put(broker.aclPath, withRevoked(readFileSync(broker.aclPath, 'utf8'), ['pi-7']));
    await broker.reload();
    expect(await writable(revoked, TOPICS)).toEqual([]);
    expect(await readable(broker, revoked, TOPICS)).toEqual([]);
    const other = await broker.client('pi-8');
    expect(await writable(other, [`${R}/d/pi-8/up/status`])).toHaveLength(1);
  });

  test('a device without its password is thrown out and does not come back', async () => {
    const broker = await guarded(aclFile(ROLES, []), USERS);
    const revoked = await broker.client('pi-7');
    const closed = new Promise((resolve) => {
      revoked.once('close', () => resolve('closed'));
    });
    put(broker.passwordPath, withoutPassword(readFileSync(broker.passwordPath, 'utf8'), 'pi-7'));
    await broker.reload();
    await expect(closed).resolves.toBe('closed');
    await expect(broker.client('pi-7')).rejects.toThrow('Not authorized');
    expect((await broker.client('pi-8')).connected).toBe(true);
  });

  test('the will of a revoked device is not published', async () => {
    const broker = await guarded(aclFile(ROLES, []), USERS);
    const heard: string[] = [];
    broker.judge.on('message', (topic) => heard.push(topic));
    await broker.judge.subscribeAsync(`${R}/d/#`);
    const topic = `${R}/d/pi-7/up/status`;
    const will = { topic, payload: Buffer.from('x'), qos: 1 as const, retain: true };
    const revoked = await broker.client('pi-7', { will });
    put(broker.aclPath, withRevoked(readFileSync(broker.aclPath, 'utf8'), ['pi-7']));
    await broker.reload();
    revoked.stream.destroy();
    await broker.judge.publishAsync(`${R}/d/pi-8/up/status`, 'x', { qos: 1 });
    const later = await broker.client('pi-8', { will: { ...will, topic: `${R}/d/pi-8/up/twin` } });
    later.stream.destroy();
    const deadline = Date.now() + 5000;
    while (!heard.includes(`${R}/d/pi-8/up/twin`) && Date.now() < deadline) {
      // oxlint-disable-next-line no-await-in-loop -- polling
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
    expect(heard).toEqual([`${R}/d/pi-8/up/status`, `${R}/d/pi-8/up/twin`]);
  });
});

describe('an ACL file', () => {
  test('changes only its list of revoked devices', () => {
    const own = `${aclFile(ROLES, ['pi-9'])}\n# mine\nuser me\ntopic read #\n`;
    const changed = withRevoked(own, ['pi-8', 'pi-7', 'pi-8']);
    expect(changed).toContain('user me\ntopic read #\n');
    expect(changed).not.toContain('pi-9');
    expect(changed.match(/topic deny #/g)).toHaveLength(2);
    expect(revokedIn(changed)).toEqual(['pi-7', 'pi-8']);
    expect(revokedIn('user me\ntopic read #\n')).toEqual([]);
    expect(withRevoked(changed, ['pi-8', 'pi-7'])).toBe(changed);
    expect(withRevoked(changed, [])).not.toContain('topic deny #');
  });

  test.each([
    ['with a line end', { ...ROLES, operators: ['a\ntopic readwrite #'] }],
    ['with a wildcard', { ...ROLES, dashboards: ['+'] }],
    ['in two roles', { ...ROLES, dashboards: ['ann'] }],
  ])('refuses a name %s', (_what, roles) => {
    expect(() => aclFile(roles, [])).toThrow(expect.objectContaining({ code: 'BAD_NAME' }));
  });

  test('that lost one of its marks is not guessed at', () => {
    const broken = aclFile(ROLES, ['pi-9']).replace('# Revoked devices: end', '');
    expect(() => withRevoked(broken, [])).toThrow('make it again');
  });

  test('passwords: only the user himself goes', () => {
    const text = 'pi-7:$7$a\npi-70:$7$b\nxpi-7:$7$c\n';
    expect(withoutPassword(text, 'pi-7')).toBe('pi-70:$7$b\nxpi-7:$7$c\n');
    expect(withoutPassword(text, 'pi-1')).toBe(text);
  });
});
