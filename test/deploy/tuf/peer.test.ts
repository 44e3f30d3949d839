import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Updater } from 'tuf-js';
import { Fixture } from '../support/fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = new Fixture();
  // tuf-js judges by the machine's clock.
  await fixture.start(Date.now());
});

afterEach(async () => {
  await fixture.stop();
});

test('tuf-js reads our repository: metadata, and a target under its hash', async () => {
  const targetDir = join(fixture.folder, 'peer');
  await mkdir(targetDir);
  const updater = new Updater({
    metadataDir: fixture.device,
    metadataBaseUrl: `${fixture.server.url}/metadata`,
    targetDir,
    targetBaseUrl: `${fixture.server.url}/targets`,
  });
  await updater.refresh();
  const info = await updater.getTargetInfo('models/kws/1.0.0/samples/a.txt');
  if (info === undefined) throw new Error('tuf-js does not see the target');
  const path = await updater.downloadTarget(info);
  expect(await readFile(path, 'utf8')).toBe('first');
  expect(info.custom).toEqual({ releaseCounter: 1 });
});
