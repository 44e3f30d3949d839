// @ts-check
// npm's configuration as pacote wants it. npm hands its settings to scripts as npm_config_* variables,
// all but the secrets: those are read from the same .npmrc files that npm reads.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** npm's name of a setting -> pacote's. */
const NAMES = {
  registry: 'registry',
  proxy: 'proxy',
  https_proxy: 'httpsProxy',
  noproxy: 'noProxy',
  strict_ssl: 'strictSSL',
  ca: 'ca',
  cert: 'cert',
  key: 'key',
  local_address: 'localAddress',
  offline: 'offline',
  fetch_retries: 'fetchRetries',
  fetch_timeout: 'fetchTimeout',
};

/** `//registry.example/:_authToken` and the like: belongs to one registry. */
const OF_A_REGISTRY = /^\/\/.+:(?:_authToken|_auth|username|_password|certfile|keyfile)$/;

/**
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {Record<string, unknown>} options for pacote
 */
export function npmSettings(env) {
  /** @param {string} name */
  const asked = (name) => env[`npm_config_${name}`] || undefined;
  /** @type {Record<string, unknown>} */
  const settings = { cache: join(asked('cache') ?? join(homedir(), '.npm'), '_cacache') };
  for (const [name, ours] of Object.entries(NAMES)) {
    const value = asked(name);
    if (value !== undefined) settings[ours] = plainValue(value);
  }
  // npm writes false as an empty text.
  if (env['npm_config_strict_ssl'] === '') settings['strictSSL'] = false;
  const cafile = asked('cafile');
  if (cafile !== undefined) settings['ca'] = certificatesIn(cafile);
  return { ...secretsOf(npmrcFiles(env), env), ...settings };
}

/** @param {string} value */
function plainValue(value) {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^\d+$/.test(value) ? Number(value) : value;
}

/** @param {string} path */
function certificatesIn(path) {
  const found = readFileSync(path, 'utf8').match(
    /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g,
  );
  return found === null ? undefined : [...found];
}

/** @param {Readonly<Record<string, string | undefined>>} env from the weakest to the strongest */
function npmrcFiles(env) {
  const project = env['npm_config_local_prefix'] ?? process.cwd();
  return [
    env['npm_config_globalconfig'],
    env['npm_config_userconfig'] ?? join(homedir(), '.npmrc'),
    join(project, '.npmrc'),
  ].filter((path) => path !== undefined);
}

/**
 * @param {readonly string[]} paths
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {Record<string, string>}
 */
function secretsOf(paths, env) {
  const lines = paths.flatMap((path) => contentOf(path).split('\n'));
  const pairs = lines.flatMap((line) => {
    const [, key = '', value = ''] = /^\s*([^=;#\s]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (!OF_A_REGISTRY.test(key)) return [];
    const text = value.replace(/^(["'])(.*)\1$/, '$2');
    return [
      /** @type {const} */ ([key, text.replace(/\$\{(\w+)\}/g, (_, name) => env[name] ?? '')]),
    ];
  });
  return Object.fromEntries(pairs);
}

/** @param {string} path */
function contentOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // Most machines have only some of the files.
  }
}
