import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { aclFile, revokedIn } from '../../agent/fleet/access/acl.ts';
import { watch } from '../daemon/fleet-support.ts';
import type { Watcher } from '../daemon/fleet-support.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { run } from '../cli/support.ts';
import { guarded } from '../fleet/access/broker.ts';
import { describeWithMosquitto } from '../fleet/support/mosquitto.ts';

jest.setTimeout(60_000);

const ROLES = { operators: ['ann'], dashboards: ['wall'], controllers: ['ctl-1'] };
const USERS = ['pi-7', 'pi-8', 'pi-9', 'ann', 'wall'];

async function site() {
  const broker = await guarded(aclFile(ROLES, []), USERS);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const watcher = await watch(broker.port, url, { username: 'judge', password: 'judge' });
  const state = temporaryFolder();
  const env = {
    EDGEFIT_STATE_DIR: state,
    EDGEFIT_MQTT_URL: url,
    EDGEFIT_MQTT_USER: 'ann',
    EDGEFIT_MQTT_PASSWORD: 'ann',
    EDGEFIT_PASSPHRASE: 'a passphrase for tests',
    USER: 'ann',
  };
  const files = ['--acl', broker.aclPath, '--password-file', broker.passwordPath];
  const reload = ['--reload', `kill -HUP ${broker.process.pid}; sleep 0.3`];
  const fleet = (...args: readonly string[]) => run(['fleet', ...args], { env });
  return { broker, watcher, state, fleet, files, reload, url, env };
}

function daemonOf(url: string, id: string) {
  const yaml = [
    `deviceId: ${id}`,
    'tags: [site-a]',
    'mqtt:',
    `  url: ${url}`,
    `  user: ${id}`,
    '  reconnectMinSeconds: 0.1',
    '  reconnectMaxSeconds: 0.2',
  ].join('\n');
  return startDaemon(yaml, { env: { EDGEFIT_MQTT_PASSWORD: id } });
}

const retainedNow = async (port: number) => {
  const again = await watch(port, undefined, { username: 'judge', password: 'judge' });
  await again.find('/d/pi-8/up/twin');
  return again.seen.map(({ topic }) => topic);
};

const online = (watcher: Watcher, id: string) =>
  watcher.find(`/d/${id}/up/status`, ({ document }) => document['state'] === 'online');

describeWithMosquitto('agent fleet revoke', () => {
  test('throws a running device out for good, and keeps what it left', async () => {
    const { broker, watcher, state, fleet, files, reload, url } = await site();
    const daemon = daemonOf(url, 'pi-7');
    daemonOf(url, 'pi-8');
    await online(watcher, 'pi-7');
    await online(watcher, 'pi-8');
    await watcher.find('/d/pi-7/up/twin');
    await watcher.find('/d/pi-8/up/twin');
    const { code, out, err } = await fleet(
      'revoke',
      'pi-7',
      '--reason',
      'stolen',
      ...files,
      ...reload,
      '--json',
    );
    expect([code, err]).toEqual([0, '']);
    const done = JSON.parse(out) as { cleared: number; archive: string; todo: readonly string[] };
    expect(done).toMatchObject({ deviceId: 'pi-7', revoked: true, todo: [] });
    const lines = readFileSync(done.archive, 'utf8').trim().split('\n');
    expect(lines).toHaveLength(done.cleared);
    const topics = lines.map((line) => (JSON.parse(line) as { topic: string }).topic);
    expect(topics).toContain('edgefit/v1/d/pi-7/up/birth');
    expect(topics).toContain('edgefit/v1/d/pi-7/up/status');
    await until('the refusals', () => daemon.log().split('not connected').length > 3);
    const kept = await retainedNow(broker.port);
    expect(kept.filter((topic) => topic.includes('/pi-7/'))).toEqual([
      'edgefit/v1/d/pi-7/dn/revoked',
    ]);
    expect(readFileSync(broker.aclPath, 'utf8')).toContain('user pi-7\ntopic deny #');
    const list = JSON.parse(readFileSync(join(state, 'fleet/revoked.json'), 'utf8')) as unknown;
    expect(list).toMatchObject({ devices: [{ deviceId: 'pi-7', reason: 'stolen', actor: 'ann' }] });
    expect((await fleet('acl', '--operators', 'ann')).out).toContain('user pi-7\ntopic deny #');

    const undone = await fleet('revoke', 'pi-7', '--undo', ...files, ...reload);
    expect(undone.out).toBe('pi-7 is let in again\n');
    execFileSync('mosquitto_passwd', ['-b', broker.passwordPath, 'pi-7', 'pi-7']);
    broker.process.kill('SIGHUP');
    const before = watcher.seen.length;
    await watcher.find(
      '/d/pi-7/up/status',
      ({ document }) => document['state'] === 'online',
      before,
    );
  });

  test('leaves out whom another operator has shut out', async () => {
    const { broker, state, fleet, files, reload } = await site();
    const other = ['--list', join(state, 'another.json')];
    expect((await fleet('revoke', 'pi-7', ...files, ...reload)).code).toBe(0);
    expect((await fleet('revoke', 'pi-8', ...files, ...reload, ...other)).code).toBe(0);
    const denied = () => revokedIn(readFileSync(broker.aclPath, 'utf8'));
    expect(denied()).toEqual(['pi-7', 'pi-8']);
    expect((await fleet('revoke', 'pi-8', '--undo', ...files, ...reload, ...other)).code).toBe(0);
    expect(denied()).toEqual(['pi-7']);
  });

  test('several at the same time all count', async () => {
    const { broker, state, fleet, files } = await site();
    const ids = ['pi-11', 'pi-12', 'pi-13', 'pi-14', 'pi-15'];
    const done = await Promise.all(ids.map((id) => fleet('revoke', id, ...files)));
    expect(done.map(({ code, err }) => [code, err])).toEqual(ids.map(() => [0, '']));
    expect(revokedIn(readFileSync(broker.aclPath, 'utf8'))).toEqual(ids);
    const list = JSON.parse(readFileSync(join(state, 'fleet/revoked.json'), 'utf8')) as {
      devices: readonly { deviceId: string }[];
    };
    expect(list.devices.map(({ deviceId }) => deviceId).toSorted()).toEqual(ids);
  });

  test('says what is left to do where it was not given the files', async () => {
    const { fleet, state } = await site();
    const { code, out } = await fleet('revoke', 'pi-9');
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      'pi-9 is shut out',
      'still to do: put agent fleet acl into the access list of the broker',
      'still to do: make the broker read it: systemctl reload mosquitto',
      'still to do: then the same again, to clear what pi-9 says until then',
      '',
    ]);
    const never = await fleet('revoke', 'pi-8', '--undo');
    expect([never.code, never.err]).toEqual([2, expect.stringContaining('pi-8 is not in')]);
    const long = await fleet('revoke', 'pi-8', '--reason', 'x'.repeat(501));
    expect([long.code, long.err]).toEqual([2, expect.stringContaining('at most 500')]);
    const missing = await fleet('revoke', 'pi-8', '--acl', join(state, 'no/acl'));
    expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('cannot read')]);
    expect(readFileSync(join(state, 'fleet/revoked.json'), 'utf8')).not.toContain('pi-8');
    const bad = await fleet('revoke', '../x');
    expect([bad.code, bad.err]).toEqual([2, expect.stringContaining('is no device id')]);
    const failed = await fleet('revoke', 'pi-9', '--reload', 'false');
    expect([failed.code, failed.err]).toEqual([1, 'agent: --reload: false ended with 1\n']);
  });
});

describeWithMosquitto('agent fleet replace', () => {
  test('hands settings and tags to the new device', async () => {
    const { broker, watcher, fleet, files, reload, url, state } = await site();
    daemonOf(url, 'pi-7');
    daemonOf(url, 'pi-8');
    await watcher.find('/d/pi-7/up/birth');
    await watcher.find('/d/pi-7/up/twin');
    await watcher.find('/d/pi-8/up/twin');
    const key = join(state, 'ops.key');
    const made = await run(['model', 'keygen', key], {
      env: { EDGEFIT_PASSPHRASE: 'a passphrase for tests' },
    });
    expect(made.code).toBe(0);
    const done = await fleet('replace', 'pi-7', 'pi-9', '--key', key, ...files, ...reload);
    expect([done.code, done.err]).toEqual([0, '']);
    expect(done.out).toContain('pi-9 takes the place of pi-7 with {"tags":["site-a"]}\n');
    const twin = await watcher.find('/d/pi-9/dn/twin');
    expect(twin.document).toMatchObject({
      schema: 'edgefit/signed/1',
      signed: { type: 'twin', deviceId: 'pi-9', counter: 1, settings: { tags: ['site-a'] } },
    });
    const revoked = await watcher.find('/d/pi-7/dn/revoked');
    expect(revoked.document).toMatchObject({ replacedBy: 'pi-9' });
    expect(broker.process.exitCode).toBeNull();

    const same = await fleet('replace', 'pi-8', '--key', key);
    expect(same.out).toContain('pi-8 takes the place of pi-8 with {"tags":["site-a"]}\n');
    expect(same.out).toContain('still to do: on the new board: agent enrol --device-id pi-8\n');
    const nobody = await fleet('replace', 'pi-1', 'pi-2', '--key', key);
    expect([nobody.code, nobody.err]).toEqual([
      2,
      'agent: the broker keeps nothing of pi-1: agent fleet ls shows who is there\n',
    ]);
  });
});
