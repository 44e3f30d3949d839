// @ts-check
// What quantizing does to TFLite models, as Markdown tables: every scheme beside the float file, the
// same prepared, and an INT8 file that its authors published, all timed in turn on one thread. Needs
// a build.
//
//   node scripts/tflite-table.js [PACKAGES_DIR] [--only NAME,NAME...] [--to SCHEME,...] [--seconds N]
//   node scripts/tflite-table.js --models DIR [--to SCHEME,...]      only: which models each scheme takes
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measure } from './compare-peer/measure.js';
import { quantize } from './compare-peer/quantize.js';
import { renamed } from './tflite-table/renamed.js';
import { lookAtModels } from './tflite-table/models.js';
import { publishedTable, schemeTable } from './tflite-table/tables.js';

/** @typedef {import('./tflite-table/tables.js').Row} Row */

const root = dirname(import.meta.dirname);
const built = join(root, 'dist/agent');
/** @type {typeof import('../agent/model/tflite/open.ts')} */
const { openTflite, writeTflite } = await import(join(built, 'model/tflite/open.js'));
/** @type {typeof import('../agent/quantize/tflite/prepare/prepare.ts')} */
const { prepareTflite } = await import(join(built, 'quantize/tflite/prepare/prepare.js'));

const ALL = ['int8-static', 'int8-dynamic', 'weight-int8', 'fp16', 'int16x8', 'int8-only'];

const { values: asked, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '2' },
    models: { type: 'string' },
    to: { type: 'string', default: ALL.join(',') },
  },
});
const SCHEMES = asked.to.split(',');
const folder = positionals[0] ?? join(dirname(root), 'shared/corpus/packages');
const work = mkdtempSync(join(tmpdir(), 'tflite-table-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));

if (asked.models === undefined) await lookAtPackages();
else console.log(await lookAtModels(asked.models, work, SCHEMES));

async function lookAtPackages() {
  /** @type {Row[]} */
  const rows = [];
  const show = () => console.log(`${schemeTable(rows, SCHEMES)}\n\n${publishedTable(rows)}`);
  // Slow models take minutes: what is there is shown when somebody ends it.
  process.once('SIGTERM', () => {
    show();
    process.exit(1);
  });
  for (const manifest of manifests()) {
    // oxlint-disable-next-line no-await-in-loop -- everything here is measured
    rows.push(await look(manifest));
  }
  show();
}

/** Manifests of TFLite models, sorted by name. */
function manifests() {
  const only = asked.only?.split(',');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .filter((file) => only === undefined || only.includes(file.slice(0, -'.json'.length)))
    .map((file) => join(folder, file))
    .filter((path) => JSON.parse(readFileSync(path, 'utf8')).model.endsWith('.tflite'))
    .toSorted();
}

/** @param {string} manifest @returns {Promise<Row>} */
async function look(manifest) {
  const { name, model, published = {} } = JSON.parse(readFileSync(manifest, 'utf8'));
  const path = resolve(dirname(manifest), model);
  const float = openTflite(readFileSync(path));
  /** @type {Record<string, string>} */
  const files = { prepared: join(work, `${name}.prepared.tflite`) };
  /** @type {Record<string, string>} */
  const refused = {};
  put(files['prepared'] ?? '', writeTflite(prepareTflite(float, { fixBatch: true })));
  for (const scheme of SCHEMES) {
    console.error(`${name}: ${scheme}`);
    const output = join(work, `${name}.${scheme}.tflite`);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const run = await quantize(manifest, ['--to', scheme], output);
    if (run.error === null) files[scheme] = output;
    else refused[scheme] = run.error.replace(/^agent: /, '');
  }
  const theirs =
    published.int8 === undefined ? undefined : resolve(dirname(manifest), published.int8);
  if (theirs !== undefined) {
    files['published'] = join(work, basename(theirs));
    put(files['published'], writeTflite(renamed(openTflite(readFileSync(theirs)), float)));
  }
  console.error(`${name}: measuring`);
  try {
    const options = { seconds: Number(asked.seconds), oneThread: true };
    const { figures, failed } = await measure(manifest, files, options);
    return { name, figures, refused: { ...refused, ...failed } };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { name, figures: {}, refused: { ...refused, measuring: why } };
  }
}

/** @param {string} path @param {readonly Uint8Array[]} chunks */
function put(path, chunks) {
  writeFileSync(path, Buffer.concat(chunks));
}
