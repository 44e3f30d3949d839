import { spawn, spawnSync } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { postgresFolder } from '../../../support/available.ts';
import { freePort } from '../../../fleet/support/mosquitto.ts';
import { until } from './dashboard.ts';

export interface Postgres {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** `postgres` refuses to run as root, so somebody else runs it then. */
function owner(): { readonly uid: number; readonly gid: number } | null {
  if (userInfo().uid !== 0) return null;
  const id = (flag: string) => Number(spawnSync('id', [flag, 'nobody']).stdout.toString());
  return { uid: id('-u'), gid: id('-g') };
}

/**
 * A server of its own in a folder of its own, on a free port of this machine. It lets everybody in, or
 * whoever has the password.
 */
export async function startPostgres(password?: string): Promise<Postgres> {
  const programs = postgresFolder() ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-postgres-'));
  const who = owner();
  if (who !== null) await chown(folder, who.uid, who.gid);
  const options = { ...who, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } };
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  if (password !== undefined) await writeFile(passwordFile, `${password}\n`);
  const login =
    password === undefined ? ['-A', 'trust'] : ['-A', 'scram-sha-256', '--pwfile', passwordFile];
  const made = spawnSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'dash', ...login, '--no-sync'],
    options,
  );
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr.toString()}`);
  const port = await freePort();
  const server = spawn(
    join(programs, 'postgres'),
    ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F'],
    { ...options, stdio: 'ignore' },
  );
  const gone = new Promise((resolve) => {
    server.once('exit', resolve);
  });
  const ready = () =>
    spawnSync(join(programs, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port)]).status === 0;
  await until('PostgreSQL', ready, 30_000);
  return {
    url: `postgres://dash@127.0.0.1:${port}/postgres`,
    stop: async () => {
      server.kill('SIGQUIT');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
