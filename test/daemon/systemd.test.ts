import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { pingPeriodMs } from '../../agent/daemon/watchdog.ts';
import { mountDisk, unmountDisks } from '../e2e/support/disks.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { programPath } from '../support/available.ts';
import { startDaemon, temporaryFolder, until } from './support.ts';

/** A datagram socket that prints what it gets: Node has none of that kind, perl is everywhere. */
const RECEIVER = `use Socket; $| = 1; socket(my $s, AF_UNIX, SOCK_DGRAM, 0);
bind($s, sockaddr_un($ARGV[0])) or die; while (defined recv($s, my $m, 4096, 0)) { print "$m\\n" }`;

async function notifySocket() {
  const path = join(temporaryFolder(), 'notify');
  const child = spawn('perl', ['-e', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  afterThisTest(() => void child.kill());
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  await until('the socket', () => existsSync(path));
  return { path, lines: () => text.split('\n').filter((line) => line !== '') };
}

const hasPrograms = ['perl', 'systemd-notify'].every((name) => programPath(name) !== undefined);
const testWithSystemd = hasPrograms ? test : test.skip;

testWithSystemd('READY once, pings, STOPPING, and a quick end', async () => {
  const socket = await notifySocket();
  const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '400000' };
  const daemon = startDaemon('', { env });
  const pings = () => socket.lines().filter((line) => line === 'WATCHDOG=1').length;
  await until('pings', () => pings() >= 3);
  daemon.child.kill('SIGTERM');
  const asked = Date.now();
  expect(await daemon.ended).toBe(0);
  expect(Date.now() - asked).toBeLessThan(5000);
  const said = socket.lines().filter((line) => /^(READY|STOPPING)/.test(line));
  expect(said).toEqual(['READY=1', 'STOPPING=1']);
  expect(existsSync(join(daemon.state, 'run', 'heartbeat'))).toBe(false);
});

testWithSystemd('no ping while a part does not answer', async () => {
  const socket = await notifySocket();
  // The heartbeat cannot be written where a file stands in the place of the folder.
  const env = {
    NOTIFY_SOCKET: socket.path,
    WATCHDOG_USEC: '300000',
    EDGEFIT_RUNTIME_DIR: '/dev/null',
  };
  const daemon = startDaemon('', { env });
  await until('a failed check', () => daemon.log().includes('not alive'));
  expect(daemon.log()).toContain('worker threads: ');
  expect(socket.lines()).not.toContain('WATCHDOG=1');
});

test('goes on without systemd-notify, and says so', async () => {
  const env = { NOTIFY_SOCKET: '/nowhere', PATH: '/nowhere' };
  const daemon = startDaemon('', { env });
  await until('the warning', () => daemon.log().includes('systemd-notify is not installed'));
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
});

test('exit code 78 for a configuration that cannot be used', async () => {
  const daemon = startDaemon('mqtt:\n  ulr: x\nlogLevel: loud\n');
  expect(await daemon.ended).toBe(78);
  const file = join(daemon.state, 'agent.yaml');
  expect(daemon.log()).toBe(
    [
      `agent: ${file}:3:1: logLevel: it must be one of trace, debug, info, warn, error, not "loud"\n`,
      `agent: ${file}:2:3: mqtt.ulr: there is no such key; did you mean url?\n`,
    ].join(''),
  );
});

test('exit code 78 for a state folder that cannot be one', async () => {
  const daemon = startDaemon('stateDir: /dev/null/state\n', { env: { EDGEFIT_STATE_DIR: '' } });
  expect(await daemon.ended).toBe(78);
  expect(daemon.log()).toContain('/dev/null');
});

test('exit code 1 for a disk that is read-only just now: systemd tries again', async () => {
  const disk = mountDisk('ro');
  // Only root may mount.
  if (disk === undefined) return;
  afterThisTest(unmountDisks);
  const daemon = startDaemon('', { env: { EDGEFIT_STATE_DIR: disk } });
  expect(await daemon.ended).toBe(1);
  expect(daemon.log()).toBe(`agent: cannot write into ${disk}: the file system is read-only\n`);
});

test('exit code 78 for a folder that is read-only here alone: it stays so', async () => {
  const disk = mountDisk('rw');
  if (disk === undefined) return;
  afterThisTest(unmountDisks);
  // As systemd does for ProtectSystem=strict: the mount, not the disk.
  execFileSync('mount', ['-o', 'remount,bind,ro', disk]);
  const state = join(disk, 'state');
  const daemon = startDaemon(`stateDir: ${state}\n`, { env: { EDGEFIT_STATE_DIR: '' } });
  expect(await daemon.ended).toBe(78);
  expect(daemon.log()).toMatch(/^agent: .*agent\.yaml:1:1: stateDir: .*ReadWritePaths=.*\n$/);
  expect(daemon.log()).toContain(`${state} is mounted read-only for this process`);
});

test.each([
  ['half of it', { WATCHDOG_USEC: '60000000' }, 30_000],
  ['half of it, for this process', { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '7' }, 30_000],
  ['never, when it is for another', { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '8' }, null],
  ['never without a limit', {}, null],
  ['never for nonsense', { WATCHDOG_USEC: 'soon' }, null],
])('pings every %s', (_name, env, expected) => {
  expect(pingPeriodMs(env, 7)).toBe(expected);
});
