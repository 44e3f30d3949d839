import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { fetchLibraries } from '../../scripts/fetch-tflite.js';
import { npmSettings } from '../../scripts/tflite-library/npm-settings.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-fetch-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('npm settings', () => {
  const none = { npm_config_globalconfig: '/no/npmrc', npm_config_userconfig: '/no/npmrc' };

  test('come from what npm hands to its scripts', () => {
    const settings = npmSettings({
      ...none,
      npm_config_local_prefix: folder,
      npm_config_registry: 'https://mirror.example/npm/',
      npm_config_https_proxy: 'http://proxy.example:3128',
      npm_config_noproxy: '.example',
      npm_config_fetch_retries: '5',
      npm_config_offline: 'true',
      npm_config_strict_ssl: '',
      npm_config_cache: '/var/cache/npm',
    });
    expect(settings).toEqual({
      registry: 'https://mirror.example/npm/',
      httpsProxy: 'http://proxy.example:3128',
      noProxy: '.example',
      fetchRetries: 5,
      offline: true,
      strictSSL: false,
      cache: '/var/cache/npm/_cacache',
    });
  });

  test('take the secrets of registries from .npmrc files, the nearest first', () => {
    const [user, project] = [join(folder, 'user'), join(folder, 'project')];
    mkdirSync(project);
    const mirror = '//mirror.example/npm/';
    writeFileSync(
      user,
      `${mirror}:_authToken=old\n; ${mirror}:_auth=x\n//a.example/:_auth = "YTpi"\n`,
    );
    writeFileSync(
      join(project, '.npmrc'),
      `save-exact=true\n${mirror}:_authToken=\${MIRROR_TOKEN}\nregistry=https://ignored.example\n`,
    );
    const env = {
      ...none,
      npm_config_userconfig: user,
      npm_config_local_prefix: project,
      MIRROR_TOKEN: 'new',
    };
    expect(npmSettings(env)).toEqual({
      cache: expect.any(String),
      [`${mirror}:_authToken`]: 'new',
      '//a.example/:_auth': 'YTpi',
    });
  });

  test('read the certificates of cafile', () => {
    const block = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----';
    const cafile = join(folder, 'ca.pem');
    writeFileSync(cafile, `# one\n${block}\n# two\n${block}\n`);
    const settings = npmSettings({
      ...none,
      npm_config_local_prefix: folder,
      npm_config_cafile: cafile,
    });
    expect(settings['ca']).toEqual([block, block]);
  });
});

describe('fetching', () => {
  const FETCH_MS = 30_000;
  let registry: Server;
  const asked: string[] = [];

  beforeEach(async () => {
    asked.length = 0;
    const tarball = Buffer.from('not what was published');
    registry = createServer(({ url = '' }, response) => {
      asked.push(url);
      const { port } = registry.address() as AddressInfo;
      const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
      const dist = { tarball: `http://127.0.0.1:${port}/forged.tgz`, integrity };
      const version = { name: 'tfjs-tflite-node', version: '0.0.2', dist };
      const packument = {
        name: 'tfjs-tflite-node',
        'dist-tags': { latest: '0.0.2' },
        versions: { '0.0.2': version },
      };
      response.end(url.endsWith('.tgz') ? tarball : JSON.stringify(packument));
    });
    await new Promise<void>((resolve) => {
      registry.listen(0, '127.0.0.1', resolve);
    });
  });
  afterEach(() => {
    registry.close();
  });

  const env = () => ({
    npm_config_registry: `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`,
    npm_config_cache: join(folder, 'cache'),
    npm_config_userconfig: '/no/npmrc',
    npm_config_local_prefix: folder,
    npm_config_fetch_retries: '0',
  });

  test(
    'asks the configured registry, and takes nothing that is not what was pinned',
    async () => {
      const target = join(folder, 'vendor');
      await expect(fetchLibraries(['linux-x64'], target, env())).rejects.toMatchObject({
        code: 'EINTEGRITY',
      });
      expect(asked[0]).toBe('/tfjs-tflite-node');
      expect(existsSync(target)).toBe(false);
    },
    FETCH_MS,
  );

  test('asks nobody for what is there', async () => {
    const target = join(folder, 'vendor');
    mkdirSync(join(target, 'linux-arm64'), { recursive: true });
    writeFileSync(join(target, 'linux-arm64/libtensorflowlite_c.so'), '');
    expect(await fetchLibraries(['linux-arm64'], target, env())).toEqual([]);
    expect(asked).toEqual([]);
    expect(readdirSync(target)).toEqual(['linux-arm64']);
  });
});
