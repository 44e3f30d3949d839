// A recorded machine must read the same wherever it is read. Every tree is probed on this host, and
// once more where all that a program can learn of its host is another's.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { builtModule } from '../../agent/util/paths.ts';
import { describeIf, sharedDir } from '../support/available.ts';
import { makeSysroot, raspberryPi4, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

const LIMIT_MS = 60_000;
const OTHER = 'edgefit-foreign-host';

/** Loaded before the program: every source of facts about the host answers for another one. */
const LIE = `
import os from 'node:os';
import { syncBuiltinESMExports } from 'node:module';
const cpu = { model: '${OTHER}', speed: 1, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } };
Object.assign(os, {
  arch: () => 'mips', machine: () => 'mips', cpus: () => Array(77).fill(cpu),
  availableParallelism: () => 77, hostname: () => '${OTHER}', platform: () => 'aix',
  release: () => '0.0.1-${OTHER}', version: () => '${OTHER}', type: () => '${OTHER}',
  totalmem: () => 7e15, freemem: () => 7e14, loadavg: () => [7, 7, 7], uptime: () => 7,
  homedir: () => '/${OTHER}', tmpdir: () => '/${OTHER}', networkInterfaces: () => ({}),
  userInfo: () => ({ uid: 7, gid: 7, username: '${OTHER}', homedir: '/', shell: null }),
});
syncBuiltinESMExports();
Object.defineProperty(process, 'arch', { value: 'mips' });
process.getuid = () => 4711;
process.constrainedMemory = () => 1;
`;

/** Writes the facts of every tree, one JSON document per line. */
const PROBE = `
import { probe } from ${JSON.stringify(builtModule('hardware/probe'))};
for (const root of process.argv.slice(2)) console.log(JSON.stringify(await probe({ root })));
`;

interface Host {
  readonly lie?: string;
  readonly env: Readonly<Record<string, string>>;
}

function factsOn({ lie, env }: Host, roots: readonly string[]): string {
  const folder = makeSysroot({ '/probe.mjs': PROBE });
  if (lie !== undefined) writeFileSync(join(folder, 'lie.mjs'), lie);
  const args = lie === undefined ? [] : ['--import', join(folder, 'lie.mjs')];
  const run = spawnSync(process.execPath, [...args, join(folder, 'probe.mjs'), ...roots], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    env,
    cwd: lie === undefined ? '/' : folder,
    maxBuffer: 64 * 2 ** 20,
  });
  expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: '' });
  return run.stdout;
}

const HERE: Host = { env: { PATH: process.env['PATH'] ?? '' } };
const ELSEWHERE: Host = {
  lie: LIE,
  env: {
    PATH: '/nonexistent',
    HOME: `/${OTHER}`,
    HOSTNAME: OTHER,
    USER: OTHER,
    LANG: 'tr_TR.UTF-8',
    LC_ALL: 'tr_TR.UTF-8',
    TZ: 'Pacific/Apia',
  },
};

function factsOnBoth(roots: readonly string[]) {
  return { here: factsOn(HERE, roots), elsewhere: factsOn(ELSEWHERE, roots) };
}

test(
  'small trees, and an empty one that has to be filled from somewhere',
  () => {
    const { here, elsewhere } = factsOnBoth([makeSysroot(raspberryPi4()), makeSysroot({})]);
    expect(here.trim().split('\n')).toHaveLength(2);
    expect(elsewhere).toBe(here);
    expect(here).not.toContain(OTHER);
  },
  2 * LIMIT_MS,
);

describeIf('shared')('recorded boards', () => {
  const folder = sharedDir('boards', 'sysroots');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  test(
    'not one byte changes with the host',
    () => {
      expect(names.length).toBeGreaterThan(20);
      const { here, elsewhere } = factsOnBoth(names.map((name) => join(folder, name)));
      expect(here.trim().split('\n')).toHaveLength(names.length);
      expect(elsewhere).toBe(here);
      expect(here).not.toContain(OTHER);
    },
    2 * LIMIT_MS,
  );
});
