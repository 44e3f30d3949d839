// @ts-check
// Builds the Debian package, from a built checkout (npm ci). Needs dpkg-deb; with llvm-strip or the
// binutils of the platform it is about 13 MB smaller.
//
//   node scripts/build-deb.js                        this machine's platform, into the current folder
//   node scripts/build-deb.js amd64 arm64 --output dist-deb/
//   node scripts/build-deb.js --compression gzip     quicker, for trials
//   node scripts/build-deb.js --agent                also the archive for selfupdate jobs
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeArchive } from './deb/archive.js';
import { debianVersion } from './deb/control.js';
import { installDependencies, strip } from './deb/dependencies.js';
import { HOME, placeDocumentation, placeProgram, placeSystemFiles } from './deb/layout.js';
import { nativeFiles, nativeProblems } from './deb/native.js';
import { fetchNode } from './deb/node-runtime.js';
import { PLATFORMS, platformOf } from './deb/platforms.js';
import { builtProgram, completions } from './deb/program.js';
import { removeUnreached } from './deb/reachable.js';
import { fetchLibraries } from './fetch-tflite.js';
import { must } from './install/toolchain.js';

/** What everything installed together should stay under. */
const GOAL_MB = 120;
const root = dirname(import.meta.dirname);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    output: { type: 'string', default: '.' },
    compression: { type: 'string', default: 'xz' },
    agent: { type: 'boolean', default: false },
  },
});

/** @param {import('./deb/platforms.js').Platform} platform */
async function build(platform) {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-deb-'));
  try {
    const target = join(folder, 'package');
    await fill(target, join(folder, 'modules'), platform);
    const native = nativeFiles(join(target, HOME));
    const problems = nativeProblems(native, platform);
    if (problems.length > 0) throw new Error(problems.join('; '));
    const { version, description } = manifest();
    const output = join(
      resolve(values.output),
      `edgefit_${debianVersion(version)}_${platform.debian}.deb`,
    );
    const { sizeKib } = makeArchive(target, {
      root,
      version: debianVersion(version),
      architecture: platform.debian,
      description,
      epochSeconds: epochSeconds(),
      compression: values.compression,
      output,
    });
    report(output, sizeKib, native);
    if (values.agent) console.log(agentArchive(join(target, HOME), version, platform));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What `agent model publish --agent` takes: the program's folder as one file.
 * @param {string} home
 * @param {string} version
 * @param {import('./deb/platforms.js').Platform} platform
 */
function agentArchive(home, version, platform) {
  const about = { schema: 'edgefit/agent-package/1', version, platform: `linux-${platform.cpu}` };
  writeFileSync(join(home, 'agent-package.json'), `${JSON.stringify(about)}\n`);
  const output = join(resolve(values.output), `edgefit-agent_${version}_${platform.debian}.tar.gz`);
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mode=u+rw,go-w'];
  const time = `--mtime=@${epochSeconds()}`;
  must('tar', ['--format=ustar', ...same, time, '-I', 'gzip -n', '-cf', output, '-C', home, '.']);
  return output;
}

/**
 * @param {string} target
 * @param {string} scratch
 * @param {import('./deb/platforms.js').Platform} platform
 */
async function fill(target, scratch, platform) {
  const home = join(target, HOME);
  placeProgram(root, installDependencies(root, scratch, platform), target, platform);
  await removeUnreached(home);
  placeSystemFiles(root, target);
  await fetchLibraries([`linux-${platform.cpu}`], join(home, 'vendor/tflite'));
  const node = join(home, 'node');
  await fetchNode(platform, { program: node, licence: join(home, 'LICENSE.node') });
  if (!strip(node, platform)) {
    console.error(`build-deb: no strip for ${platform.debian} here: apt install llvm`);
  }
  const { version } = manifest();
  const program = await builtProgram(root, version);
  placeDocumentation(root, target, {
    program,
    completions: await completions(root, program),
    version: debianVersion(version),
    epochSeconds: epochSeconds(),
  });
}

/** @returns {{ version: string, description: string }} */
function manifest() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
}

/** https://reproducible-builds.org/specs/source-date-epoch/; else when the last change was made. */
function epochSeconds() {
  const given = process.env['SOURCE_DATE_EPOCH'] ?? '';
  return Number(given === '' ? must('git', ['-C', root, 'log', '-1', '--format=%ct']) : given);
}

/**
 * @param {string} output
 * @param {number} sizeKib
 * @param {readonly import('./deb/native.js').NativeFile[]} native
 */
function report(output, sizeKib, native) {
  console.log(output);
  const mb = (sizeKib * 1024) / 1e6;
  const verdict = mb < GOAL_MB ? 'under' : 'OVER';
  console.log(
    `installed ${mb.toFixed(1)} MB (Installed-Size ${sizeKib}), ${verdict} ${GOAL_MB} MB`,
  );
  for (const { path, bytes, glibcMinor, libstdcxx } of native) {
    const size = (bytes / 1e6).toFixed(1).padStart(7);
    console.log(`${size} MB  glibc 2.${glibcMinor}, libstdc++6 ${libstdcxx}  ${path}`);
  }
}

const here = process.arch === 'arm64' ? PLATFORMS.arm64 : PLATFORMS.amd64;
const platforms = positionals.length === 0 ? [here] : positionals.map(platformOf);
mkdirSync(values.output, { recursive: true });
for (const platform of platforms) {
  // oxlint-disable-next-line no-await-in-loop -- each is disk and processor
  await build(platform);
}
