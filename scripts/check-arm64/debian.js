// @ts-check
// Packages of a Debian release that is not the one installed here, from the mirror that apt is
// configured for. Nothing of the machine's own apt changes: the lists and the cache are elsewhere.
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { run } from './run.js';

/** The release with QEMU 10: onnxruntime crashes under the 7.2 of bookworm. */
const RELEASE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Debian's names of our architectures. @type {Readonly<Record<string, string>>} */
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

/** Debian's name of the architecture that this script runs on. */
export function hostArchitecture() {
  const name = ARCHITECTURES[process.arch];
  if (name === undefined) throw new Error(`no QEMU for ${process.arch} is looked for`);
  return name;
}

/**
 * Downloads packages into a folder, once: a folder that is there is complete.
 * @param {readonly string[]} packages NAME:ARCHITECTURE
 * @param {string} folder
 * @returns {Promise<string[]>} paths of the .deb files
 */
export async function fetchDebs(packages, folder) {
  const known = await debsIn(folder);
  if (known.length > 0) return known;
  const fresh = `${folder}.new`;
  const scratch = `${folder}.apt`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  try {
    const options = await aptOptions(scratch);
    await run('apt-get', [...options, 'update']);
    await run('apt-get', [...options, 'download', ...packages], { cwd: fresh });
    await rename(fresh, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return debsIn(folder);
}

/**
 * Options of an apt that knows that release alone.
 * @param {string} scratch
 */
async function aptOptions(scratch) {
  const sources = join(scratch, 'sources.list.d');
  await mkdir(sources, { recursive: true });
  await mkdir(join(scratch, 'lists/partial'), { recursive: true });
  await mkdir(join(scratch, 'cache/archives/partial'), { recursive: true });
  await writeFile(join(scratch, 'status'), '');
  const mirror = mirrorIn(await run('apt-get', ['update', '--print-uris']));
  const lines = [
    'Types: deb',
    `URIs: ${mirror}`,
    `Suites: ${RELEASE}`,
    'Components: main',
    `Signed-By: ${KEYRING}`,
  ];
  await writeFile(join(sources, 'release.sources'), `${lines.join('\n')}\n`);
  const settings = {
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': sources,
    'Dir::State': scratch,
    'Dir::State::lists': join(scratch, 'lists'),
    'Dir::State::status': join(scratch, 'status'),
    'Dir::Cache': join(scratch, 'cache'),
    'APT::Architecture': hostArchitecture(),
    'APT::Architectures': [...new Set([hostArchitecture(), 'arm64'])].join(','),
    // The user that apt becomes for downloads cannot write here.
    'APT::Sandbox::User': userInfo().username,
    'Acquire::Retries': '3',
  };
  return [
    '-qq',
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
  ];
}

/**
 * The Debian mirror in what `apt-get update --print-uris` lists: the archive itself, not that of
 * security updates nor anybody else's.
 * @param {string} uris
 */
export function mirrorIn(uris) {
  const found = /^'(\S+\/debian)\/+dists\/[^/']+\/(?:In)?Release'/m.exec(uris)?.[1];
  if (found === undefined) {
    throw new Error('apt is configured for no Debian mirror (an address that ends with /debian)');
  }
  return found;
}

/** @param {string} folder */
async function debsIn(folder) {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => name.endsWith('.deb')).map((name) => join(folder, name));
}
