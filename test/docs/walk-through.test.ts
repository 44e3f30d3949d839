import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { builtModule, shippedPath } from '../../agent/util/paths.ts';
import { temporaryFolder } from '../daemon/support.ts';
import { hasOpenssl } from '../fleet/support/certificates.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto, freePort } from '../fleet/support/mosquitto.ts';
import { dense } from '../fleet/support/site.ts';

jest.setTimeout(240_000);

/** The commands of the page, on ports that are free here. */
async function commands(): Promise<string> {
  const page = readFileSync(shippedPath('docs', 'walk-through.md'), 'utf8');
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  const [broker, repository] = [await freePort(), await freePort()];
  return blocks
    .join('\n')
    .replaceAll('18883', String(broker))
    .replaceAll('18080', String(repository))
    .replace('cafile ca.pem', `user ${userInfo().username}\ncafile ca.pem`);
}

async function run(script: string, env: Readonly<Record<string, string>>): Promise<string> {
  // A group of its own: what it starts ends with it.
  const child = spawn('bash', ['-c', script], { env, detached: true, cwd: env['HOME'] });
  let text = '';
  child.stdout.on('data', (piece) => (text += String(piece)));
  child.stderr.on('data', (piece) => (text += String(piece)));
  afterThisTest(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  await new Promise((resolve) => {
    // Not `close`: a mosquitto_sub that nobody reads any more keeps the pipes open.
    child.once('exit', resolve);
  });
  return text;
}

describeWithMosquitto('docs/walk-through.md', () => {
  const withOpenssl = hasOpenssl() ? test : test.skip;

  withOpenssl('does what it says', async () => {
    const folder = temporaryFolder();
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    const program = `#!/bin/sh\nexec "${process.execPath}" "${builtModule('cli/main')}" "$@"\n`;
    writeFileSync(join(bin, 'agent'), program, { mode: 0o755 });
    writeFileSync(join(folder, 'model.onnx'), dense(1));
    const path = `${bin}:${process.env['PATH'] ?? ''}:/usr/sbin`;
    const env = { HOME: folder, PATH: path, MODEL: join(folder, 'model.onnx') };
    const text = await run(await commands(), env);
    const found = text.match(/^"(outcome|code|reason)":.*|^root \d.*signed$/gm);
    expect(found ?? text).toEqual([
      '"outcome":"applied"',
      '"reason":null',
      '"outcome":"no_state_change"',
      expect.stringMatching(/^"reason":\{"code":"gate_missed"/),
      '"outcome":"rolled_back"',
      '"reason":{"code":"unhealthy","text":"exit code 1"}',
      '"code":"unsigned"',
      expect.stringMatching(/all as signed$/),
    ]);
    const links = new Set(text.match(/^releases\/[0-9a-f]{64}$/gm));
    expect(links.size).toBe(1);
  });
});
