import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, jest, test } from '@jest/globals';
import { builtModule } from '../../agent/util/paths.ts';
import { watch } from '../daemon/fleet-support.ts';
import { startDaemon, until } from '../daemon/support.ts';
import { afterThisTest, mosquitto } from '../fleet/support/harness.ts';
import { rollout } from '../fleet/operator/rollout-fixture.ts';
import { available, programPath } from '../support/available.ts';

/** Pictures that redraw themselves, on a real terminal, as `script` makes one (util-linux). */

jest.setTimeout(60_000);
const maybe =
  programPath('script') !== undefined && available('mosquitto') ? describe : describe.skip;
const OWN_SCREEN = '\u001B[?1049h';
const BACK = '\u001B[?1049l';
const CURSOR = '\u001B[?25h';

/** A command on a terminal of this size; what it draws, and a way to type. */
function terminal(port: number, args: readonly string[], columns = 80) {
  const command = `stty cols ${columns} rows 24; exec ${process.execPath} ${builtModule('cli/main')} ${args.join(' ')}`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: {
      PATH: process.env['PATH'],
      TERM: 'xterm',
      SHELL: '/bin/sh',
      LANG: 'C.UTF-8',
      EDGEFIT_MQTT_URL: `mqtt://127.0.0.1:${port}`,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let drawn = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (drawn += text));
  const ended = once(child, 'exit').then(([code]) => Number(code));
  afterThisTest(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { drawn: () => drawn, type: (key: string) => child.stdin.write(key), ended };
}

async function fleetOfOne() {
  const { port } = await mosquitto('allow_anonymous true');
  const watcher = await watch(port);
  const daemon = startDaemon(`deviceId: pi-7\nmqtt:\n  url: mqtt://127.0.0.1:${port}\n`);
  await watcher.find('/d/pi-7/up/twin');
  return { port, watcher, daemon };
}

maybe('on a terminal', () => {
  test('agent fleet ls stays up to date, and q leaves it as it was', async () => {
    const { port, daemon } = await fleetOfOne();
    const { drawn, type, ended } = terminal(port, ['fleet', 'ls']);
    await until('the table', () => drawn().includes('1 device: 1 online'));
    expect(drawn()).toContain(OWN_SCREEN);
    daemon.child.kill('SIGTERM');
    await until('the news', () => drawn().includes('1 device: 1 offline'));
    type('q');
    expect(await ended).toBe(0);
    expect(drawn().trimEnd().endsWith(BACK)).toBe(true);
    expect(drawn()).toContain(CURSOR);
  });

  test('agent fleet watch draws within 80 columns; Ctrl-C leaves', async () => {
    const { port } = await fleetOfOne();
    const { drawn, type, ended } = terminal(port, ['fleet', 'watch', '--every', '0.2']);
    await until('a sparkline', () => /online +1 of 1 .*▅▅▅/.test(drawn()));
    type('\u0003');
    expect(await ended).toBe(0);
    const lines = stripVTControlCharacters(drawn()).split(/\r?\n/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('agent fleet rollout watch redraws in place and leaves the last picture', async () => {
    const { port, watcher } = await fleetOfOne();
    const put = (part: Parameters<typeof rollout>[0]) =>
      watcher.client.publishAsync('edgefit/v1/r/r1/state', JSON.stringify(rollout(part)), {
        qos: 1,
        retain: true,
      });
    await put({ rev: 1 });
    const { drawn, ended } = terminal(port, ['fleet', 'rollout', 'watch', 'r1']);
    await until('the first picture', () => drawn().includes('canary'));
    await put({ rev: 2, state: 'completed', endedAt: '2026-03-01T12:30:00.000Z' });
    expect(await ended).toBe(0);
    await sleep(50);
    expect(drawn()).not.toContain(OWN_SCREEN);
    expect(
      drawn()
        .split('\u001B[')
        .some((part) => /^\d+A\r/.test(part)),
    ).toBe(true);
    expect(drawn()).toContain('completed');
    expect(drawn().trimEnd().endsWith(CURSOR)).toBe(true);
  });
});
