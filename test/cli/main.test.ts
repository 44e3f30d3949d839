import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { COMMANDS } from '../../agent/cli/commands.ts';
import { builtModule } from '../../agent/util/paths.ts';

const DEADLINE_MS = 20_000;

/** Runs the built program; `closeOutput` stops reading as soon as something arrives. */
async function agent(
  args: readonly string[],
  { closeOutput = false, nodeArgs = [] }: { closeOutput?: boolean; nodeArgs?: string[] } = {},
) {
  const child = spawn(process.execPath, [...nodeArgs, builtModule('cli/main'), ...args], {
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
  const { code, err } = await agent(['bench', '--help'], { closeOutput: true });
  expect({ code, err }).toEqual({ code: 0, err: '' });
});

test('help loads nothing heavy', async () => {
  // Loading the schemas, the MQTT client or a runtime by accident takes several times as long.
  const modules = await loadedModules(['--help']);
  expect(
    modules.filter((name) => /zod|mqtt\/|onnxruntime|sharp|systeminformation/.test(name)),
  ).toEqual([]);
  expect(modules.some((name) => name.includes('commander'))).toBe(true);
});

test('a command loads itself, not the others', async () => {
  const modules = await loadedModules(['probe', '--help']);
  const commands = modules.flatMap((url) => {
    const name = /\/agent\/cli\/([a-z-]+)\.js$/.exec(url)?.[1] ?? '';
    return COMMANDS.has(name) ? [name] : [];
  });
  expect(commands).toEqual(['probe']);
});

/** Paths of all files that a command line makes Node open as modules. */
async function loadedModules(args: readonly string[]): Promise<readonly string[]> {
  const hook = `
    import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(\`
      export async function load(url, context, next) {
        process._rawDebug('LOADED ' + url);
        return next(url, context);
      }\`));`;
  const hooked = `data:text/javascript,${encodeURIComponent(hook)}`;
  const { err } = await agent(args, { nodeArgs: ['--import', hooked] });
  return err.split('\n').filter((line) => line.startsWith('LOADED'));
}
