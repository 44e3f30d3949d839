import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from '@jest/globals';

const BINARY = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto'].find(
  (path) => existsSync(path),
);
const START_MS = 10_000;

/** `describe`, or skipped tests where no mosquitto is installed (apt install mosquitto). */
export const describeWithMosquitto = BINARY === undefined ? describe.skip : describe;

export interface Mosquitto {
  readonly port: number;
  readonly process: ChildProcess;
  readonly stop: () => Promise<void>;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

function exited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function waitUntilListening(child: ChildProcess, port: number, log: () => string) {
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline && !exited(child)) {
    // oxlint-disable-next-line no-await-in-loop -- polling
    if (await canConnect(port)) return;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(30);
  }
  throw new Error(`mosquitto did not start: ${log()}`);
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  if (!exited(child)) {
    const gone = new Promise((resolve) => {
      child.once('exit', resolve);
    });
    child.kill('SIGKILL');
    await gone;
  }
  await rm(folder, { recursive: true, force: true });
}

/** A mosquitto on a free (or the given) port, with `lines` added to its configuration. */
export async function startMosquitto(
  lines: readonly string[],
  wantedPort?: number,
): Promise<Mosquitto> {
  if (BINARY === undefined) throw new Error('mosquitto is not installed');
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-mosquitto-'));
  const port = wantedPort ?? (await freePort());
  const config = join(folder, 'mosquitto.conf');
  // Started by root it would become another user, who cannot read the test's files.
  const fixed = [`user ${userInfo().username}`, 'persistence false', `listener ${port} 127.0.0.1`];
  await writeFile(config, [...fixed, ...lines, ''].join('\n'));
  let log = '';
  const child = spawn(BINARY, ['-c', config], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.on('data', (data) => (log += String(data)));
  child.stderr.on('data', (data) => (log += String(data)));
  try {
    await waitUntilListening(child, port, () => log);
  } catch (error) {
    await stop(child, folder);
    throw error;
  }
  return { port, process: child, stop: () => stop(child, folder) };
}
