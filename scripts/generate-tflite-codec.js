// Generates agent/model/tflite/generated/: types, readers and writers of the tables of a .tflite file,
// from the description of the format in scripts/tflite-schema/.
//
//   node scripts/generate-tflite-codec.js [--check]
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseSchema } from './tflite-schema/parse.js';

/** type -> [TypeScript type, value of an absent field, name of the list method] */
const SCALARS = {
  bool: ['boolean', 'false', 'bools'],
  int8: ['number', '0'],
  uint8: ['number', '0'],
  int32: ['number', '0', 'int32s'],
  uint32: ['number', '0', 'uint32s'],
  uint64: ['number', '0'],
  int64: ['number', '0', 'int64s'],
  long: ['bigint', '0n', 'longs'],
  float: ['number', '0', 'floats'],
};
const PACKED = { int32: ['Int32Array', 'int32Array'], uint16: ['Uint16Array', 'uint16Array'] };

const parts = ['enums.txt', 'options.txt', 'model.txt'].map(parseSchema);
const [enumPart, optionPart, modelPart] = parts;
const enums = new Map(enumPart.enums.map((one) => [one.name, one]));
const unions = new Map(parts.flatMap((part) => part.unions).map((one) => [one.name, one]));
const tables = new Map(parts.flatMap((part) => part.tables).map((one) => [one.name, one]));
/** Tables that a union holds say which one they are. */
const kinds = new Set([...unions.values()].flatMap(({ members }) => members));
const missing = [...kinds].filter((kind) => !tables.has(kind));
if (missing.length > 0) throw new Error(`unions hold unknown tables: ${missing.join(', ')}`);

const constant = (name) => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();

function enumOf({ name, members }) {
  const values = members.map((member) => `'${member}'`).join(', ');
  return `export const ${constant(name)} = [${values}] as const;
export type ${name} = (typeof ${constant(name)})[number] | UnknownValue;`;
}

// --- types

function typeOf({ type, form }) {
  if (form === 'packed') return PACKED[type][0];
  if (type === 'bytes') return 'Uint8Array';
  const element = SCALARS[type]?.[0] ?? type;
  return form === 'list' ? `readonly ${element}[]` : element;
}

const isPlain = ({ type, form }) => form === 'single' && (type in SCALARS || enums.has(type));

function interfaceOf({ name, fields }) {
  const kind = kinds.has(name) ? [`  readonly kind: '${name}';`] : [];
  const lines = fields.map((field) =>
    isPlain(field)
      ? `  readonly ${field.name}: ${typeOf(field)};`
      : `  readonly ${field.name}?: ${typeOf(field)} | undefined;`,
  );
  if (kind.length + lines.length === 0) throw new Error(`${name} is empty`);
  return `export interface ${name} {\n${[...kind, ...lines].join('\n')}\n}`;
}

// --- readers

function readField(field, slot) {
  const { name, type, form } = field;
  const at = `${slot}, '${name}'`;
  if (form === 'packed') return `t.${PACKED[type][1]}(${at})`;
  if (type === 'string' || type === 'bytes') return `t.${type}(${at})`;
  if (unions.has(type)) return `t.union(${at}, READ_${constant(type)})`;
  if (tables.has(type)) return `t.table${form === 'list' ? 's' : ''}(${at}, read${type})`;
  if (enums.has(type)) {
    const { type: stored } = enums.get(type);
    return form === 'list'
      ? `t.${stored}s(${at})?.map((value) => nameOf(${constant(type)}, value))`
      : `nameOf(${constant(type)}, t.${stored}(${at}, ${absent(field)}))`;
  }
  return form === 'list' ? `t.${SCALARS[type][2]}(${at})` : `t.${type}(${at}, ${absent(field)})`;
}

function absent({ type, fallback }) {
  if (!enums.has(type)) return fallback ?? SCALARS[type][1];
  return fallback === undefined ? '0' : String(enums.get(type).members.indexOf(fallback));
}

const slotsOf = (fields) => {
  let next = 0;
  const slots = fields.map(({ type }) => {
    const slot = next;
    next += unions.has(type) ? 2 : 1;
    return slot;
  });
  return { slots, count: next };
};

function readerOf({ name, fields }) {
  const { slots, count } = slotsOf(fields);
  const kind = kinds.has(name) ? `kind: '${name}', ` : '';
  const lines = fields.map((field, index) => `${field.name}: ${readField(field, slots[index])},`);
  return `export function read${name}(t: Table): ${name} {
  t.expect(${count});
  return { ${kind}${lines.join('\n')} };
}`;
}

// --- writers

function writeField(field, slot) {
  const { name, type, form, align } = field;
  const at = `${slot}, '${name}'`;
  const value = `v.${name}`;
  if (form === 'packed') return `w.typed(${at}, ${value});`;
  if (type === 'bytes') return `w.bytes(${at}, ${value}, ${align});`;
  if (type === 'string') return `w.string(${at}, ${value});`;
  if (unions.has(type)) return `w.union(${at}, ${value}, write${type});`;
  if (tables.has(type))
    return `w.table${form === 'list' ? 's' : ''}(${at}, ${value}, write${type});`;
  if (enums.has(type)) {
    const { type: stored } = enums.get(type);
    return form === 'list'
      ? `w.${stored}s(${at}, ${value}?.map((name) => numberOf(${constant(type)}, name)));`
      : `w.${stored}(${at}, numberOf(${constant(type)}, ${value}), ${absent(field)});`;
  }
  if (form === 'list') return `w.${SCALARS[type][2]}(${at}, ${value});`;
  return `w.${type}(${at}, ${value}, ${absent(field)});`;
}

function writerOf({ name, fields }) {
  const { slots } = slotsOf(fields);
  const [w, v] = fields.length === 0 ? ['_w', '_v'] : ['w', 'v'];
  const lines = fields.map((field, index) => writeField(field, slots[index]));
  return `export function write${name}(${w}: TableWriter, ${v}: ${name}): void {
  ${lines.join('\n  ')}
}`;
}

function unionOf({ name, members }) {
  const cases = members
    .filter((member) => !isEmpty(member))
    .map((member) => `case '${member}': write${member}(w, v); break;`);
  const empty = members.filter(isEmpty).map((member) => `case '${member}':`);
  const last = empty.length === 0 ? '' : `${empty.join(' ')} break;`;
  return `export type ${name} = ${members.join(' | ')};

/** The kinds and their numbers in a file. */
export const ${constant(name)}_KINDS: Readonly<Record<${name}['kind'], number>> = {
  ${members.map((member, index) => `${member}: ${index + 1},`).join('\n  ')}
};

const READ_${constant(name)}: readonly ((t: Table) => ${name})[] = [${members.map((one) => `read${one}`).join(', ')}];

/** Writes the table and returns which one it is. */
export function write${name}(w: TableWriter, v: ${name}): number {
  switch (v.kind) {
    ${cases.join('\n    ')}
    ${last}
  }
  return ${constant(name)}_KINDS[v.kind];
}`;
}

const isEmpty = (name) => tables.get(name).fields.length === 0;

// --- files

const HEAD =
  '// GENERATED by scripts/generate-tflite-codec.js from scripts/tflite-schema/. Do not edit.';

function codecOf({ tables: own, unions: choices }, imports) {
  const used = [...enums.keys()].filter((name) =>
    own.some(({ fields }) => fields.some(({ type }) => type === name)),
  );
  return `${HEAD}
import { nameOf, numberOf } from '../names.ts';
import type { Table } from '../reader.ts';
import type { TableWriter } from '../writer.ts';
import { ${used.map(constant).join(', ')} } from './enums.ts';
import type { ${used.join(', ')} } from './enums.ts';
${imports}
${own.map(interfaceOf).join('\n\n')}

${own.map(readerOf).join('\n\n')}

${own
  .filter(({ fields }) => fields.length > 0)
  .map(writerOf)
  .join('\n\n')}

${choices.map(unionOf).join('\n\n')}
`;
}

const optionUnions = optionPart.unions.map(({ name }) => name);
const FILES = {
  'enums.ts': `${HEAD}
import type { UnknownValue } from '../names.ts';

${enumPart.enums.map(enumOf).join('\n\n')}
`,
  'options.ts': codecOf(optionPart, ''),
  'model.ts': codecOf(
    modelPart,
    `import { ${optionUnions.flatMap((name) => [`READ_${constant(name)}`, `write${name}`]).join(', ')} } from './options.ts';
import type { ${optionUnions.join(', ')} } from './options.ts';
`,
  ),
};
FILES['options.ts'] = FILES['options.ts'].replaceAll('\nconst READ_', '\nexport const READ_');

const root = dirname(import.meta.dirname);
const prettier = join(
  dirname(createRequire(import.meta.url).resolve('prettier/package.json')),
  'bin/prettier.cjs',
);
for (const [file, source] of Object.entries(FILES)) {
  const target = join(root, 'agent/model/tflite/generated', file);
  const formatted = execFileSync(process.execPath, [prettier, '--stdin-filepath', target], {
    input: source,
    cwd: root,
    encoding: 'utf8',
  });
  if (!process.argv.includes('--check')) writeFileSync(target, formatted);
  else if (readFileSync(target, 'utf8') !== formatted) {
    console.error(`agent/model/tflite/generated/${file} is out of date: run this script`);
    process.exitCode = 1;
  }
}
