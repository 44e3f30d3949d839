import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { builtModule } from '../../agent/util/paths.ts';

const DEADLINE_MS = 20_000;

/** Runs the built program; `closeOutput` stops reading as soon as something arrives. */
async function agent(args: readonly string[], closeOutput = false) {
  const child = spawn(process.execPath, [builtModule('cli/main'), ...args], {
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
    if (closeOutput) child.stdout.destroy();
  });
  if (closeOutput) child.stdout.destroy();
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const [code] = await once(child, 'close');
  return { code: Number(code), out, err };
}

test('--version is that of package.json', async () => {
  expect(await agent(['--version'])).toMatchObject({ code: 0, err: '' });
  expect((await agent(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('usage errors', async () => {
  const ran = await agent(['bench', '--nonsense']);
  expect(ran).toMatchObject({ code: 2, out: '' });
  expect(ran.err).toBe("agent: unknown option '--nonsense'; see 'agent bench --help'\n");
});

test('a reader that went away is no error', async () => {
  const { code, err } = await agent(['bench', '--help'], true);
  expect({ code, err }).toEqual({ code: 0, err: '' });
});
