// @ts-check
// Quantizes the TFLite packages with the agent and evaluates each file beside the peer's best one, by
// the rule of the peers' own comparison, in the newest runtime at hand: LiteRT in WebAssembly, which
// needs no Python. Beside that, ours and float in the library that edgefit brings. Needs a build.
//
//   node scripts/compare-tflite-peer.js [PACKAGES_DIR] [PEER_DIR] [--only NAME,NAME...] [--to auto]
//       [--files DIR] [--keep DIR] [--seconds N] [--samples N] [--json FILE]
//
// PEER_DIR has NAME.tflite files. `--keep` keeps what was made, as NAME.tflite; `--files` takes it from
// there and quantizes nothing.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measure } from './compare-peer/measure.js';
import { quantize } from './compare-peer/quantize.js';
import { won } from './compare-peer/rules.js';
import { measureNewest } from './compare-tflite/newest.js';
import { peerTable, verdict } from './compare-tflite/table.js';
import { fastestBuild, litertVersion } from './litert/wasm.js';
import { writeBounded } from './tflite-table/bounded.js';
import { renamed } from './tflite-table/renamed.js';

/** @typedef {import('./compare-tflite/table.js').Row} Row */

const root = dirname(import.meta.dirname);
/** @type {typeof import('../agent/model/tflite/open.ts')} */
const { openTflite, writeTflite } = await import(join(root, 'dist/agent/model/tflite/open.js'));

const shared = join(dirname(root), 'shared');
const { values: asked, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    to: { type: 'string', default: 'auto' },
    files: { type: 'string' },
    keep: { type: 'string' },
    seconds: { type: 'string', default: '3' },
    samples: { type: 'string', default: '1000000' },
    json: { type: 'string' },
  },
});
const [packages = join(shared, 'corpus/packages'), peers = join(shared, 'peer/best')] = positionals;
const work = mkdtempSync(join(tmpdir(), 'compare-tflite-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
const made = asked.files ?? asked.keep ?? work;
mkdirSync(made, { recursive: true });
const build = fastestBuild();
const LITERT = `LiteRT ${litertVersion()} (WebAssembly, ${build} build, one thread)`;

/** @type {Row[]} */
const rows = [];
/* oxlint-disable no-await-in-loop -- one thing at a time: everything here is measured */
for (const manifest of manifests()) {
  rows.push(await look(manifest));
  if (asked.json !== undefined) writeFileSync(asked.json, JSON.stringify(rows, null, 1));
}
/* oxlint-enable no-await-in-loop */
console.log(`${LITERT}, agent quantize --to ${asked.to}\n\n${peerTable(rows)}\n\n${verdict(rows)}`);
process.exitCode = rows.length > 0 && rows.every(({ figures }) => figures && won(figures)) ? 0 : 1;

/** Manifests of TFLite models, sorted by name. */
function manifests() {
  const only = asked.only?.split(',');
  return readdirSync(packages)
    .filter((file) => file.endsWith('.json'))
    .filter((file) => only === undefined || only.includes(file.slice(0, -'.json'.length)))
    .map((file) => join(packages, file))
    .filter((path) => JSON.parse(readFileSync(path, 'utf8')).model.endsWith('.tflite'))
    .toSorted();
}

/** @param {string} given @returns {Promise<Row>} */
async function look(given) {
  const { name, model } = JSON.parse(readFileSync(given, 'utf8'));
  const ours = join(made, `${name}.tflite`);
  /** @type {Row} */
  const row = { name, made: '-', runtime: 'LiteRT', figures: null, old: null, failed: {} };
  if (asked.files === undefined) {
    console.error(`${name}: --to ${asked.to}`);
    const { error, report } = await quantize(given, ['--to', asked.to], ours);
    if (error !== null) return { ...row, failed: { ours: error } };
    row.made = report?.made ?? '-';
  }
  console.error(`${name}: measuring`);
  const manifest = join(work, `${name}.json`);
  writeBounded(given, Number(asked.samples), manifest);
  const peer = join(peers, `${name}.tflite`);
  const files = { ours, ...(existsSync(peer) && { peer }) };
  try {
    return await besideEachOther(row, manifest, files, resolve(dirname(given), model));
  } catch (error) {
    return {
      ...row,
      failed: { measuring: error instanceof Error ? error.message : String(error) },
    };
  }
}

/**
 * In LiteRT where it takes the float model, otherwise in the library that edgefit brings.
 * @param {Row} row
 * @param {string} manifest
 * @param {{ ours: string, peer?: string }} files
 * @param {string} float
 * @returns {Promise<Row>}
 */
async function besideEachOther(row, manifest, files, float) {
  const seconds = Number(asked.seconds);
  const { figures, failed } = await measureNewest(manifest, files, { seconds, build });
  const isNew = figures['float'] !== undefined;
  const peer =
    files.peer !== undefined && !isNew ? renamedPeer(row.name, files.peer, float) : undefined;
  const inOld = { ours: files.ours, ...(peer !== undefined && { peer }) };
  const old = await measure(manifest, inOld, { seconds, oneThread: true });
  const pair = ownFigures(old.figures);
  if (isNew) return { ...row, figures: ownFigures(figures), old: pair, failed };
  const runtime = 'TFLite 2.9';
  return { ...row, runtime, figures: pair, old: pair, failed: { ...failed, ...old.failed } };
}

/** @param {Readonly<Record<string, import('./compare-peer/rules.js').Figures>>} figures */
function ownFigures({ float, ours, peer }) {
  return float === undefined || ours === undefined ? null : { float, ours, peer };
}

/** The agent's own judging goes by name. @param {string} name @param {string} path @param {string} float */
function renamedPeer(name, path, float) {
  const to = join(work, `${name}.peer.tflite`);
  const model = renamed(openTflite(readFileSync(path)), openTflite(readFileSync(float)));
  writeFileSync(to, Buffer.concat(writeTflite(model)));
  return to;
}
