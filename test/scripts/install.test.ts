import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { programPath } from '../support/available.ts';

const SCRIPT = resolve(import.meta.dirname, '../../scripts/install.sh');
const TOOLS = ['sh', 'id', 'readlink', 'sed', 'mkdir', 'cat', 'mktemp', 'rm', 'env', 'ln'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-install-'));
  mkdirSync(join(folder, 'bin'));
  for (const tool of TOOLS) symlinkSync(programPath(tool) ?? tool, join(folder, 'bin', tool));
  answer('uname', 'aarch64');
  answer('getconf', 'glibc 2.36', '64');
  answer('node', 'v20.19.0');
  answer('npm', '10.8.2');
  for (const name of ['e.deb', 'e.tgz']) writeFileSync(join(folder, name), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program that prints this; `getconf LONG_BIT` has an answer of its own. */
function answer(name: string, text: string, longBit = text): void {
  const file = join(folder, 'bin', name);
  const body = `if [ "\${1:-}" = LONG_BIT ]; then echo '${longBit}'; else echo '${text}'; fi`;
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

function install(...args: readonly string[]) {
  const env = { PATH: join(folder, 'bin'), EDGEFIT_INSTALL_ROOT: join(folder, 'root') };
  const options = { encoding: 'utf8', env, cwd: folder, timeout: 20_000 } as const;
  const ran = spawnSync(join(folder, 'bin/sh'), [SCRIPT, ...args], options);
  return { status: ran.status, out: ran.stdout, err: ran.stderr };
}

describe('machines that cannot run it are refused in one line', () => {
  test.each([
    ['armv7l', () => answer('uname', 'armv7l'), 'not on armv7l'],
    ['a 32-bit system', () => answer('getconf', 'glibc 2.36', '32'), '32-bit on a 64-bit kernel'],
    [
      'JetPack 4',
      () => answer('getconf', 'glibc 2.27', '64'),
      'has 2.27 (JetPack 4, Ubuntu 18.04)',
    ],
    [
      'musl',
      () => {
        answer('getconf', '', '64');
        answer('ldd', 'musl libc (aarch64)');
      },
      'this system has musl',
    ],
    ['Node.js 18', () => answer('node', 'v18.20.4'), 'Node.js 18.20.4 is too old'],
    ['Node.js 20.18', () => answer('node', 'v20.18.3'), 'Node.js 20.18.3 is too old'],
    ['no Node.js', () => rmSync(join(folder, 'bin/node')), 'there is no Node.js'],
    ['no npm', () => rmSync(join(folder, 'bin/npm')), 'there is no npm'],
  ])('%s', (_what, arrange, message) => {
    arrange();
    const { status, err } = install('--dry-run', 'e.tgz');
    expect(status).toBe(1);
    expect(err).toMatch(/^install\.sh: .*\n$/);
    expect(err).toContain(message);
  });

  test('a .deb needs dpkg and no Node.js', () => {
    rmSync(join(folder, 'bin/node'));
    expect(install('--dry-run', 'e.deb').err).toContain('there is no dpkg');
    answer('dpkg', '');
    expect(install('--dry-run', 'e.deb')).toEqual({
      status: 0,
      out: `would run: dpkg --install ${join(folder, 'e.deb')}\n`,
      err: '',
    });
  });
});

describe('bad usage', () => {
  test.each([
    [[], 'give an edgefit_*.deb'],
    [['--colour', 'e.deb'], 'unknown option --colour'],
    [['e.zip'], 'neither a .deb nor a .tgz'],
    [['e.deb', 'e.tgz'], 'one file or URL'],
    [['--prefix', '/', 'e.tgz'], '--prefix /'],
    [['--prefix', 'here', 'e.tgz'], 'not absolute'],
    [['--prefix', '/opt/a b', 'e.tgz'], 'letters, digits'],
    [['--prefix'], '--prefix needs'],
  ])('%j', (args, message) => {
    const { status, err } = install(...args);
    expect(status).toBe(2);
    expect(err).toContain(message);
  });

  test('a file that is not there', () => {
    expect(install('--dry-run', 'other.tgz')).toMatchObject({ status: 1 });
  });
});

test('a dry run says what it would do, and does nothing', () => {
  mkdirSync(join(folder, 'root/run/systemd/system'), { recursive: true });
  const { status, out } = install('--dry-run', '--prefix', '/srv/edgefit', 'e.tgz');
  expect(status).toBe(0);
  expect(out).toContain('would run: env ONNXRUNTIME_NODE_INSTALL=skip npm install --global');
  expect(out).toContain('/srv/edgefit/lib/node_modules/edgefit/systemd/launcher');
  expect(out).toContain('would write: /etc/systemd/system/edgefit.service\n');
  expect(out.split('\n').every((line) => /^(would |name a broker|$)/.test(line))).toBe(true);
});

test('there is nothing to uninstall', () => {
  const { status, err } = install('--uninstall');
  expect(status).toBe(1);
  expect(err).toBe('install.sh: there is no edgefit in /opt/edgefit\n');
});
