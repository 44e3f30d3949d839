import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN, startNode, type Running } from './children.ts';

/** What `scripts/simulate-fleet.js --serve` says of itself. */
export interface FleetInfo {
  readonly broker: string;
  readonly devices: number;
  readonly repository: string;
  readonly operatorKey: string;
  readonly passphrase: string;
}

export interface SimulatedFleet {
  readonly info: FleetInfo;
  readonly folder: string;
  readonly stop: () => Promise<void>;
}

const START_MS = 60_000;

/** Simulated devices at a mosquitto of their own. */
export async function startFleet(
  devices: number,
  more: readonly string[] = [],
): Promise<SimulatedFleet> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-browser-fleet-'));
  const running = await startNode({
    args: ['scripts/simulate-fleet.js', '--serve', '--devices', String(devices)].concat(
      ['--folder', folder, '--keep'],
      more,
    ),
    waitFor: /^\{.*\}$/m,
    withinMs: START_MS,
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the line of our own script
  const info = JSON.parse(running.found[0]) as FleetInfo;
  return {
    info,
    folder,
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The real controller of the fleet's rollouts, at the broker of a simulated fleet. */
export async function startController({ info, folder }: SimulatedFleet): Promise<Running> {
  const args = [MAIN, 'fleet', 'controller', '--id', 'ctl-test', '--mqtt', info.broker].concat(
    ['--repository', info.repository],
    ['--root', join(folder, 'repository/metadata/1.root.json')],
    ['--key', join(folder, 'keys/controller.json')],
    ['--state', join(folder, 'controller')],
  );
  return startNode({
    args,
    env: { EDGEFIT_PASSPHRASE: info.passphrase },
    waitFor: /leads|leading/,
    withinMs: START_MS,
  });
}

export const USERS = {
  viewer: { name: 'vera', password: 'only looks at it' },
  operator: { name: 'otto', password: 'may do something' },
} as const;

export interface Dashboard {
  readonly url: string;
  readonly running: Running;
  readonly stop: () => Promise<void>;
}

interface DashboardOptions {
  readonly broker: string;
  /** Without one, nobody can act. */
  readonly key?: { readonly file: string; readonly passphrase: string };
  readonly port?: number;
  /** State that is kept, with users; else a new one is made. */
  readonly folder?: string;
}

async function addUser(state: string, role: 'viewer' | 'operator'): Promise<void> {
  const { name, password } = USERS[role];
  const passwordFile = join(state, `${name}.txt`);
  await writeFile(passwordFile, password);
  const args = ['dashboard', 'user', 'add', name, '--role', role, '--state', state];
  const done = spawnSync(process.execPath, [MAIN, ...args, '--password-file', passwordFile], {
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(`agent dashboard user add: ${done.stderr}`);
}

/** Adds both users to the state folder of a dashboard. */
export async function addUsers(state: string): Promise<void> {
  await addUser(state, 'viewer');
  await addUser(state, 'operator');
}

/** The real `agent dashboard` with a viewer and an operator. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { broker, key, port = 0 } = options;
  const state = options.folder ?? (await mkdtemp(join(tmpdir(), 'edgefit-browser-dashboard-')));
  if (options.folder === undefined) await addUsers(state);
  const args = [MAIN, 'dashboard', '--mqtt', broker, '--listen', `127.0.0.1:${port}`];
  const running = await startNode({
    args: [...args, '--state', state, ...(key === undefined ? [] : ['--key', key.file])],
    env: key === undefined ? {} : { EDGEFIT_PASSPHRASE: key.passphrase },
    waitFor: /the dashboard is at (http:\S+)/,
    withinMs: START_MS,
  });
  return {
    url: running.found[1] ?? '',
    running,
    stop: async () => {
      await running.stop();
      if (options.folder === undefined) await rm(state, { recursive: true, force: true });
    },
  };
}
