// @ts-check
// What quantizing does to TFLite models, as Markdown tables: every scheme beside the float file, the
// same prepared, an INT8 file that its authors published, and what another quantizer reached, all that
// is here timed in turn on one thread. What is refused, fails or takes too long is a row with the
// reason. Needs a build.
//
//   node scripts/tflite-table.js [PACKAGES_DIR] [--only NAME,NAME...] [--to SCHEME,...] [--seconds N]
//       [--samples N] [--cell-seconds N] [--peer RESULTS.json] [--best DIR]
//
// `--best` is a folder with the best file of the other quantizer for each package, NAME.tflite: they run
// here beside what `auto` made, if this library takes them.
//
//   node scripts/tflite-table.js --models DIR [--to SCHEME,...]      only: which models each scheme takes
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measure } from './compare-peer/measure.js';
import { quantize } from './compare-peer/quantize.js';
import { renamed } from './tflite-table/renamed.js';
import { lookAtModels } from './tflite-table/models.js';
import { writeBounded } from './tflite-table/bounded.js';
import { peerLines } from './tflite-table/peer-table.js';
import {
  bestTable,
  latencyTable,
  publishedTable,
  schemeTable,
  table,
} from './tflite-table/tables.js';

/** @typedef {import('./tflite-table/tables.js').Row} Row */

const root = dirname(import.meta.dirname);
const built = join(root, 'dist/agent');
/** @type {typeof import('../agent/model/tflite/open.ts')} */
const { openTflite, writeTflite } = await import(join(built, 'model/tflite/open.js'));
/** @type {typeof import('../agent/quantize/tflite/prepare/prepare.ts')} */
const { prepareTflite } = await import(join(built, 'quantize/tflite/prepare/prepare.js'));

const ALL = ['int8-static', 'int8-dynamic', 'weight-int8', 'fp16', 'int16x8', 'int8-only', 'auto'];

const { values: asked, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '2' },
    samples: { type: 'string', default: '1000000' },
    'cell-seconds': { type: 'string', default: '300' },
    peer: { type: 'string' },
    best: { type: 'string' },
    models: { type: 'string' },
    to: { type: 'string', default: ALL.join(',') },
  },
});
const SCHEMES = asked.to.split(',');
const CELL_MS = Number(asked['cell-seconds']) * 1000;
const shared = join(dirname(root), 'shared');
const folder = positionals[0] ?? join(shared, 'corpus/packages');
const peerFile = asked.peer ?? join(shared, 'peer/results.json');
const bestFolder = asked.best ?? join(shared, 'peer/best');
const work = mkdtempSync(join(tmpdir(), 'tflite-table-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));

if (asked.models === undefined) await lookAtPackages();
else await lookAtModels(asked.models, work, SCHEMES, CELL_MS, (line) => console.log(line));

async function lookAtPackages() {
  /** @type {Row[]} */
  const rows = [];
  const show = () => console.log(tablesOf(rows).join('\n\n'));
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

/** @param {readonly Row[]} rows */
function tablesOf(rows) {
  const tables = [schemeTable(rows, SCHEMES), latencyTable(rows), publishedTable(rows)];
  if (existsSync(bestFolder)) tables.push(bestTable(rows));
  if (!existsSync(peerFile)) return tables;
  const [head = [], ...lines] = peerLines(rows, JSON.parse(readFileSync(peerFile, 'utf8')).tflite);
  return [...tables, table(head, lines)];
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

/** @param {string} given @returns {Promise<Row>} */
async function look(given) {
  const { name, model, published = {} } = JSON.parse(readFileSync(given, 'utf8'));
  const manifest = join(work, `${name}.json`);
  writeBounded(given, Number(asked.samples), manifest);
  const float = openTflite(readFileSync(resolve(dirname(given), model)));
  /** @type {Record<string, string>} */
  const files = { prepared: join(work, `${name}.prepared.tflite`) };
  /** @type {Record<string, string>} */
  const refused = {};
  /** @type {Record<string, string>} */
  const made = {};
  put(files['prepared'] ?? '', writeTflite(prepareTflite(float, { fixBatch: true })));
  /** @param {string} row @param {readonly string[]} options */
  const make = async (row, options) => {
    console.error(`${name}: ${row}`);
    const output = join(work, `${name}.${row}.tflite`);
    const run = await quantize(manifest, options, output, CELL_MS);
    if (run.error === null) files[row] = output;
    else refused[row] = run.error.replace(/^agent: /, '');
    if (run.report?.made !== undefined) made[row] = run.report.made;
  };
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const scheme of SCHEMES) await make(scheme, ['--to', scheme]);
  const theirs = published.int8 === undefined ? undefined : resolve(dirname(given), published.int8);
  if (theirs !== undefined) {
    const other = openTflite(readFileSync(theirs));
    await make('like-published', ['--to', 'int8-static', '--io', interfaceOf(other)]);
    files['published'] = join(work, basename(theirs));
    put(files['published'], writeTflite(renamed(other, float)));
  }
  const best = join(bestFolder, `${name}.tflite`);
  if (existsSync(best)) {
    files['best'] = join(work, `${name}.best.tflite`);
    put(files['best'], writeTflite(renamed(openTflite(readFileSync(best)), float)));
  }
  console.error(`${name}: measuring`);
  try {
    const options = { seconds: Number(asked.seconds), oneThread: true, judgeMs: CELL_MS };
    const { figures, failed } = await measure(manifest, files, options);
    // Under other names they are written anew, which makes them smaller.
    for (const [row, path] of Object.entries({ published: theirs, best })) {
      const one = figures[row];
      if (path !== undefined && one !== undefined) {
        figures[row] = { ...one, bytes: statSync(path).size };
      }
    }
    return { name, figures, made, refused: { ...refused, ...failed } };
  } catch (error) {
    const why = `not measured: ${error instanceof Error ? error.message : String(error)}`;
    const all = Object.fromEntries(Object.keys(files).map((row) => [row, why]));
    return { name, figures: {}, made, refused: { ...all, ...refused } };
  }
}

/** What goes into a model. @param {import('../agent/model/tflite/types.ts').TfliteModel} model */
function interfaceOf({ subgraphs: [graph] }) {
  const type = graph?.tensors[graph.inputs[0] ?? -1]?.type ?? '';
  return type === 'INT8' || type === 'UINT8' ? type.toLowerCase() : 'float32';
}

/** @param {string} path @param {readonly Uint8Array[]} chunks */
function put(path, chunks) {
  writeFileSync(path, Buffer.concat(chunks));
}
