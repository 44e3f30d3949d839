import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  agent as run,
  makeFolder,
  removeFolders,
  startAgent,
  type Running,
} from './support/agent.ts';

const SECRET = 'a passphrase for tests';
const env = { EDGEFIT_PASSPHRASE: SECRET };

let cwd: string;
let server: Running;
let url: string;

function agent(...args: readonly string[]) {
  return run(args, { cwd, env });
}

function verify(...more: readonly string[]) {
  return agent('model', 'verify', url, '--root', 'repo/metadata/1.root.json', ...more);
}

beforeAll(async () => {
  cwd = makeFolder();
  await mkdir(join(cwd, 'kws'));
  await writeFile(join(cwd, 'kws', 'manifest.json'), '{"name":"kws","version":"1.0.0"}');
  await writeFile(join(cwd, 'kws', 'model.onnx'), 'weights');
  for (const name of ['all', 'online', 'ops']) {
    // oxlint-disable-next-line no-await-in-loop -- each key takes a core for a moment
    expect(await agent('model', 'keygen', `${name}.key`)).toMatchObject({ code: 0 });
  }
  const init = ['model', 'init', 'repo', '--root', 'all.key.pub', '--targets', 'all.key.pub'];
  const keys = ['--key', 'all.key', '--key', 'online.key'];
  const online = ['--online', 'online.key.pub', '--operator', 'ops.key.pub'];
  expect(await agent(...init, ...online, ...keys)).toMatchObject({ code: 0 });
  const publish = await agent('model', 'publish', 'kws', '--repository', 'repo', ...keys, '--json');
  expect(JSON.parse(publish.out)).toMatchObject({ model: 'kws', releaseCounter: 1, files: 2 });
  server = startAgent(['model', 'serve', 'repo', '--port', '0'], { cwd, deadlineMs: 180_000 });
  url = await addressOf(server);
}, 120_000);

/** The first line on stdout names it. */
async function addressOf({ child }: Running): Promise<string> {
  const [text] = (await once(child.stdout ?? child, 'data')) as [string];
  return /at (http:\S+);/.exec(text)?.[1] ?? '';
}

afterAll(async () => {
  server.child.kill('SIGTERM');
  await server.ended;
  removeFolders();
});

test('a device would believe the repository', async () => {
  const { code, out } = await verify('--json');
  expect(code).toBe(0);
  const { files, warnings } = JSON.parse(out) as {
    files: readonly { path: string }[];
    warnings: unknown;
  };
  expect(warnings).toEqual([]);
  expect(files.map(({ path }) => path)).toEqual([
    'models/kws/1.0.0/manifest.json',
    'models/kws/1.0.0/model.onnx',
  ]);
});

test('a file that is no root is bad input, and is called by its name', async () => {
  await writeFile(join(cwd, 'bad.json'), '{}');
  expect(await agent('model', 'verify', url, '--root', 'bad.json')).toMatchObject({
    code: 2,
    said: ['agent: bad.json is no TUF root: give the root.json of the repository'],
  });
});

test('keys in the folder, and files above it, are not served', async () => {
  await writeFile(join(cwd, 'repo', 'left.key'), 'secret');
  for (const path of ['/left.key', '/metadata/../left.key', '/metadata/%2e%2e/left.key']) {
    // oxlint-disable-next-line no-await-in-loop -- three requests
    expect((await fetch(`${url}${path}`)).status).toBe(404);
  }
});

test('a release is not published twice with other files', async () => {
  await writeFile(join(cwd, 'kws', 'model.onnx'), 'other weights');
  const keys = ['--key', 'all.key', '--key', 'online.key'];
  const { code, said } = await agent('model', 'publish', 'kws', '--repository', 'repo', ...keys);
  expect(code).toBe(2);
  expect(said).toEqual([
    'agent: kws 1.0.0 is published with other files: give the package a new version',
  ]);
});

test('a file that was changed on the server is found', async () => {
  const targets = JSON.parse(await readFile(join(cwd, 'repo/metadata/2.targets.json'), 'utf8')) as {
    signed: { targets: Record<string, { hashes: { sha256: string } }> };
  };
  const hash = targets.signed.targets['models/kws/1.0.0/model.onnx']?.hashes.sha256 ?? '';
  await writeFile(join(cwd, `repo/targets/models/kws/1.0.0/${hash}.model.onnx`), 'weightX');
  const { code, said } = await verify();
  expect(code).toBe(1);
  expect(said.join('\n')).toMatch(/is not the file that was signed/);
});

test('a job for one device is signed by an operator key', async () => {
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const job = { type: 'job', deviceId: 'pi-7', counter: 1, expires };
  await writeFile(join(cwd, 'job.json'), JSON.stringify(job));
  const { out } = await agent('fleet', 'sign', 'job.json', '--key', 'ops.key');
  expect(JSON.parse(out)).toMatchObject({ schema: 'edgefit/signed/1', signed: job });
  await writeFile(join(cwd, 'job.json'), '{"type":"job"}');
  const bad = await agent('fleet', 'sign', 'job.json', '--key', 'ops.key');
  expect(bad.code).toBe(2);
  expect(bad.said.join('\n')).toMatch(/job\.json: deviceId is not as needed/);
  for (const [change, message] of [
    [{ expires: '2020-01-01T00:00:00Z' }, /it expired at 2020-01-01T00:00:00Z/],
    [{ note: 'x'.repeat(128 * 1024) }, /signed it has \d+ bytes, devices read at most 131072/],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await writeFile(join(cwd, 'job.json'), JSON.stringify({ ...job, ...change }));
    // oxlint-disable-next-line no-await-in-loop -- see above
    const refused = await agent('fleet', 'sign', 'job.json', '--key', 'ops.key');
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.said.join('\n')).toMatch(message);
  }
});
