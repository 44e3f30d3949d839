import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../fleet/support/mosquitto.ts';
import { until } from '../daemon/support.ts';
import { postgresFolder } from './available.ts';

export interface Postgres {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** It refuses to work for root, so root makes it work for nobody. */
const NOBODY = 65_534;

/** A PostgreSQL of its own on a free port, with an empty database. */
export async function startPostgres(): Promise<Postgres> {
  const programs = postgresFolder();
  if (programs === undefined) throw new Error('PostgreSQL is not installed');
  const isRoot = process.getuid?.() === 0;
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-postgres-'));
  chmodSync(folder, 0o755);
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const environment = {
    ...user,
    cwd: folder,
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
  };
  const data = join(folder, 'data');
  const setup = ['-D', data, '-U', 'edgefit', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
  const made = spawnSync(join(programs, 'initdb'), setup, { ...environment, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  const port = await freePort();
  const settings = ['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1', '-F'];
  const server = spawn(join(programs, 'postgres'), settings, { ...environment, stdio: 'pipe' });
  let log = '';
  server.stderr.on('data', (chunk) => (log += String(chunk)));
  const ended = new Promise((resolve) => {
    server.once('exit', resolve);
  });
  const stop = async () => {
    // Fast shutdown: it does not wait for its clients.
    server.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until('PostgreSQL is ready', () => log.includes('ready to accept connections'));
  } catch (error) {
    await stop();
    throw new Error(`PostgreSQL did not start: ${log}`, { cause: error });
  }
  return { url: `postgres://edgefit@127.0.0.1:${port}/postgres`, stop };
}
