// @ts-check
// Writes the JSON Schema of everything that enters or leaves the program to docs/schemas/, from the
// zod schemas in agent/contracts/. Needs a build. `--check` writes nothing and fails when a file is
// missing, out of date, or belongs to no contract.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';

/**
 * `io`: a document that people write may leave out what has a default; one we write has everything.
 * @typedef {{ file: string, module: string, name: string, io: 'input' | 'output', title: string }} Contract
 */

/** @type {readonly Contract[]} */
const CONTRACTS = [
  {
    file: 'facts',
    module: 'facts',
    name: 'factsSchema',
    io: 'output',
    title: 'What a device is: agent probe --json',
  },
  {
    file: 'bench',
    module: 'bench',
    name: 'benchSchema',
    io: 'output',
    title: 'Precisions measured side by side, and the choice: agent bench --json',
  },
  {
    file: 'quantize',
    module: 'quantize',
    name: 'quantizeSchema',
    io: 'output',
    title: 'What became of each operation: agent quantize --json',
  },
  {
    file: 'model',
    module: 'manifest',
    name: 'manifestSchema',
    io: 'input',
    title: 'Model package manifest: accepted wherever a model file is',
  },
];

const root = dirname(import.meta.dirname);
const folder = join(root, 'docs/schemas');
const SUFFIX = '.schema.json';

/** @param {Contract} contract */
async function textOf({ file, module, name, io, title }) {
  /** @type {Record<string, unknown>} */
  const exported = await import(join(root, 'dist/agent/contracts', `${module}.js`));
  const schema = exported[name];
  if (!(schema instanceof z.ZodType)) throw new Error(`contracts/${module} exports no ${name}`);
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io,
    // Fields may be added to what we write (docs/architecture.md); readers must not refuse them.
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
    },
  });
  const path = join(folder, `${file}${SUFFIX}`);
  const document = { $schema, $id: `urn:edgefit:schema:${file}:1`, title, ...rest };
  const style = await resolveConfig(path);
  return { path, text: await format(JSON.stringify(document), { ...style, filepath: path }) };
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // Not published yet: differs from any text.
  }
}

mkdirSync(folder, { recursive: true });
const wanted = await Promise.all(CONTRACTS.map(textOf));
const stale = wanted.filter(({ path, text }) => read(path) !== text);
const orphans = readdirSync(folder)
  .filter((name) => name.endsWith(SUFFIX))
  .map((name) => join(folder, name))
  .filter((path) => !wanted.some((one) => one.path === path));

if (process.argv.includes('--check')) {
  for (const { path } of stale) console.error(`${path} is out of date: run npm run schemas`);
  for (const path of orphans) console.error(`${path} belongs to no contract: run npm run schemas`);
  process.exitCode = stale.length + orphans.length === 0 ? 0 : 1;
} else {
  for (const { path, text } of stale) writeFileSync(path, text);
  for (const path of orphans) rmSync(path);
  console.log(`${wanted.length} schemas in docs/schemas, ${stale.length} changed`);
}
