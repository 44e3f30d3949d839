import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const LAUNCHER = resolve(import.meta.dirname, '../../systemd/launcher');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit launcher $HOME '));
  script('home/node', 'for word in "$@"; do echo "<$word>"; done');
  mkdirSync(join(folder, 'home/bin'));
  copyFileSync(LAUNCHER, join(folder, 'home/bin/edgefit'));
  chmodSync(join(folder, 'home/bin/edgefit'), 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

function script(name: string, body: string): void {
  const file = join(folder, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

function launch(
  args: readonly string[],
  program = 'home/bin/edgefit',
  more: Readonly<Record<string, string>> = {},
) {
  const env = { PATH: `${join(folder, 'fake')}:/usr/bin:/bin`, ...more };
  const ran = spawnSync(join(folder, program), args, { encoding: 'utf8', env, timeout: 20_000 });
  return { status: ran.status, out: ran.stdout, err: ran.stderr };
}

test('arguments arrive as they are, also through a link', () => {
  mkdirSync(join(folder, 'bin'));
  symlinkSync('../home/bin/edgefit', join(folder, 'bin/agent'));
  const { out, status } = launch(['a b', '', '$(id)', '*', "it's"], 'bin/agent');
  const main = join(folder, 'home/dist/agent/cli/main.js');
  expect(out).toBe(`<${main}>\n<a b>\n<>\n<$(id)>\n<*>\n<it's>\n`);
  expect(status).toBe(0);
});

test.each([
  [
    'glibc 2.27',
    'edgefit: edgefit needs glibc 2.28 or newer; this system has 2.27: use a container',
  ],
  ['glibc 2.9', 'edgefit: edgefit needs glibc 2.28 or newer; this system has 2.9: use a container'],
])('%s is refused in one line', (version, message) => {
  script('fake/getconf', `echo '${version}'`);
  const { status, out, err } = launch([]);
  expect({ status, out }).toEqual({ status: 1, out: '' });
  expect(err).toBe(`${message}, see docs/install.md\n`);
});

test.each(['glibc 2.28', 'glibc 2.41', 'glibc 2.35.9000', 'glibc 3.0'])('%s is fine', (version) => {
  script('fake/getconf', `echo '${version}'`);
  expect(launch(['x'])).toMatchObject({ status: 0, err: '' });
});

test('musl is refused in one line', () => {
  script('fake/getconf', 'echo "getconf: GNU_LIBC_VERSION: unknown variable" >&2; exit 1');
  script('fake/ldd', 'echo "musl libc (aarch64)" >&2; echo "Version 1.2.5" >&2; exit 1');
  const { status, err } = launch([]);
  expect(status).toBe(1);
  expect(err).toMatch(/^edgefit: .*this system has musl.*\n$/);
});

test('a C library that does not say what it is gets its try', () => {
  script('fake/getconf', 'exit 1');
  script('fake/ldd', 'exit 1');
  expect(launch([])).toMatchObject({ status: 0 });
});

test('without a Node.js beside it, the one in PATH is taken', () => {
  rmSync(join(folder, 'home/node'));
  script('fake/node', 'echo other "$#"');
  expect(launch(['x']).out).toBe('other 2\n');
});

test('the service starts the agent that is in force, other commands the installed one', () => {
  script(
    'home/node',
    'case $1 in *launch.js) echo "${2%/*}/new" ;; *) echo "$1" "$EDGEFIT_AGENTS" ;; esac',
  );
  const state = { STATE_DIRECTORY: `${join(folder, 'state')}:/other` };
  const main = (home: string) => join(folder, home, 'dist/agent/cli/main.js');
  const agents = join(folder, 'state/agents');
  expect(launch(['run'], undefined, state).out).toBe(`${main('home')} ${agents}\n`);
  mkdirSync(agents, { recursive: true });
  writeFileSync(join(agents, 'state.json'), '');
  expect(launch(['run'], undefined, state).out).toBe(`${main('state/new')} ${agents}\n`);
  expect(launch(['probe'], undefined, state).out).toBe(`${main('home')} \n`);
  expect(launch(['run']).out).toBe(`${main('home')} \n`);
  // It brings its own Node.js.
  script('state/new/node', 'echo own "$1"');
  expect(launch(['run'], undefined, state).out).toBe(`own ${main('state/new')}\n`);
  // The installed agent runs when nobody can choose.
  script('home/node', 'case $1 in *launch.js) exit 1 ;; *) echo "$1" ;; esac');
  expect(launch(['run'], undefined, state).out).toBe(`${main('home')}\n`);
});
