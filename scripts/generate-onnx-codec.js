// Generates agent/model/onnx/generated/messages.ts: types, readers and writers of the ONNX messages
// that edgefit edits. Field numbers and types follow the public ONNX format description (onnx.proto).
// Whatever is not listed here is kept as raw bytes and written back unchanged.
//
//   node scripts/generate-onnx-codec.js [--check]
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * name -> fields [number, name, kind]. Kinds: a message name, or
 *   string (UTF-8; free text that we only keep is bytes) bytes float int (64 bit, must fit a safe integer) long (64 bit, bigint)
 * with a suffix: [] repeated, one tag each; packed repeated, one block, kept as a typed array.
 */
const MESSAGES = {
  ModelProto: [
    [1, 'irVersion', 'int'],
    [2, 'producerName', 'string'],
    [3, 'producerVersion', 'string'],
    [4, 'domain', 'string'],
    [5, 'modelVersion', 'long'],
    [6, 'docString', 'bytes'],
    [7, 'graph', 'GraphProto'],
    [8, 'opsetImport', 'OperatorSetIdProto[]'],
    [14, 'metadataProps', 'StringStringEntryProto[]'],
    [25, 'functions', 'bytes[]'],
  ],
  OperatorSetIdProto: [
    [1, 'domain', 'string'],
    [2, 'version', 'int'],
  ],
  StringStringEntryProto: [
    [1, 'key', 'string'],
    [2, 'value', 'string'],
  ],
  GraphProto: [
    [1, 'node', 'NodeProto[]'],
    [2, 'name', 'string'],
    [5, 'initializer', 'TensorProto[]'],
    [10, 'docString', 'bytes'],
    [11, 'input', 'ValueInfoProto[]'],
    [12, 'output', 'ValueInfoProto[]'],
    [13, 'valueInfo', 'ValueInfoProto[]'],
    [14, 'quantizationAnnotation', 'bytes[]'],
    [15, 'sparseInitializer', 'bytes[]'],
  ],
  NodeProto: [
    [1, 'input', 'string[]'],
    [2, 'output', 'string[]'],
    [3, 'name', 'string'],
    [4, 'opType', 'string'],
    [5, 'attribute', 'AttributeProto[]'],
    [6, 'docString', 'bytes'],
    [7, 'domain', 'string'],
    [8, 'overload', 'string'],
  ],
  AttributeProto: [
    [1, 'name', 'string'],
    [2, 'f', 'float'],
    [3, 'i', 'long'],
    [4, 's', 'bytes'],
    [5, 't', 'TensorProto'],
    [6, 'g', 'GraphProto'],
    [7, 'floats', 'float[]'],
    [8, 'ints', 'long[]'],
    [9, 'strings', 'bytes[]'],
    [10, 'tensors', 'TensorProto[]'],
    [11, 'graphs', 'GraphProto[]'],
    [13, 'docString', 'bytes'],
    [20, 'type', 'int'],
    [21, 'refAttrName', 'string'],
  ],
  TensorProto: [
    [1, 'dims', 'int[]'],
    [2, 'dataType', 'int'],
    [4, 'floatData', 'float packed'],
    [5, 'int32Data', 'int32 packed'],
    [6, 'stringData', 'bytes[]'],
    [7, 'int64Data', 'long packed'],
    [8, 'name', 'string'],
    [9, 'rawData', 'bytes'],
    [10, 'doubleData', 'double packed'],
    [11, 'uint64Data', 'ulong packed'],
    [12, 'docString', 'bytes'],
    [13, 'externalData', 'StringStringEntryProto[]'],
    [14, 'dataLocation', 'int'],
  ],
  ValueInfoProto: [
    [1, 'name', 'string'],
    [2, 'type', 'TypeProto'],
    [3, 'docString', 'bytes'],
  ],
  TypeProto: [
    [1, 'tensorType', 'TensorTypeProto'],
    [6, 'denotation', 'string'],
  ],
  TensorTypeProto: [
    [1, 'elemType', 'int'],
    [2, 'shape', 'TensorShapeProto'],
  ],
  TensorShapeProto: [[1, 'dim', 'DimensionProto[]']],
  DimensionProto: [
    [1, 'dimValue', 'int'],
    [2, 'dimParam', 'string'],
    [3, 'denotation', 'string'],
  ],
};

/** kind -> [TypeScript type, reader/writer method, wire type of one element] */
const SCALARS = {
  string: ['string', 'string', 2],
  bytes: ['Uint8Array', 'bytes', 2],
  float: ['number', 'float', 5],
  int: ['number', 'int', 0],
  long: ['bigint', 'long', 0],
};
const PACKED = {
  float: ['Float32Array', 'floats', 5],
  double: ['Float64Array', 'doubles', 1],
  int32: ['Int32Array', 'int32s', 0],
  long: ['BigInt64Array', 'longs', 0],
  ulong: ['BigUint64Array', 'ulongs', 0],
};

function parseKind(kind) {
  if (kind.endsWith(' packed')) return { form: 'packed', base: kind.slice(0, -7) };
  if (kind.endsWith('[]')) return { form: 'repeated', base: kind.slice(0, -2) };
  return { form: 'single', base: kind };
}

function typeOf(kind) {
  const { form, base } = parseKind(kind);
  if (form === 'packed') return PACKED[base][0];
  const element = SCALARS[base]?.[0] ?? base;
  return form === 'repeated' ? `readonly ${element}[]` : element;
}

const isMessage = (base) => base in MESSAGES;

function interfaceOf(name, fields) {
  const lines = fields.map(([, field, kind]) => {
    const required = parseKind(kind).form === 'repeated';
    return `  readonly ${field}${required ? '' : '?'}: ${typeOf(kind)}${required ? '' : ' | undefined'};`;
  });
  return `export interface ${name} {\n${lines.join('\n')}\n  /** Fields that are not listed here, tag and value as they stood in the file. */\n  readonly unknown?: readonly Uint8Array[] | undefined;\n}`;
}

function readCase([number, field, kind]) {
  const { form, base } = parseKind(kind);
  if (form === 'packed') {
    const [, method] = PACKED[base];
    return `case ${number}: m.${field} = r.${method}(wire, m.${field}); break;`;
  }
  if (form === 'single') {
    const only = isMessage(base)
      ? `r.message(wire, '${base}', read${base}, m.${field})`
      : `r.${SCALARS[base][1]}(wire)`;
    return `case ${number}: m.${field} = ${only}; break;`;
  }
  const one = isMessage(base) ? `r.message(w, '${base}', read${base})` : `r.${SCALARS[base][1]}(w)`;
  const elementWire = SCALARS[base]?.[2] ?? 2;
  return `case ${number}: r.repeated(wire, (w) => m.${field}.push(${one}), ${elementWire}); break;`;
}

function readerOf(name, fields) {
  const repeated = fields.filter(([, , kind]) => parseKind(kind).form === 'repeated');
  const initial = repeated.map(([, field]) => `${field}: []`).join(', ');
  return `export function read${name}(r: Reader): ${name} {
  const m: Draft<${name}> = { ${initial} };
  for (let tag = r.tag(); tag !== undefined; tag = r.tag()) {
    const { field, wire } = tag;
    switch (field) {
      ${fields.map(readCase).join('\n      ')}
      default: (m.unknown ??= []).push(r.skip(tag));
    }
  }
  return m;
}`;
}

function writeLine([number, field, kind]) {
  const { form, base } = parseKind(kind);
  if (form === 'packed') return `w.${PACKED[base][1]}(${number}, m.${field});`;
  const one = (value) =>
    isMessage(base)
      ? `w.message(${number}, ${value}, write${base});`
      : `w.${SCALARS[base][1]}(${number}, ${value});`;
  if (form === 'repeated') return `for (const value of m.${field}) ${one('value')}`;
  return `if (m.${field} !== undefined) ${one(`m.${field}`)}`;
}

function writerOf(name, fields) {
  return `export function write${name}(w: Writer, m: ${name}): void {
  ${fields.map(writeLine).join('\n  ')}
  if (m.unknown !== undefined) for (const raw of m.unknown) w.raw(raw);
}`;
}

const entries = Object.entries(MESSAGES);
const source = `// GENERATED by scripts/generate-onnx-codec.js. Do not edit.
import type { Reader } from '../reader.ts';
import type { Writer } from '../writer.ts';

/** A message while it is being read. */
type Draft<T> = {
  -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] extends readonly (infer E)[] | undefined ? E[] | undefined : T[K];
};

${entries.map(([name, fields]) => interfaceOf(name, fields)).join('\n\n')}

${entries.map(([name, fields]) => readerOf(name, fields)).join('\n\n')}

${entries.map(([name, fields]) => writerOf(name, fields)).join('\n\n')}
`;

const root = dirname(import.meta.dirname);
const target = join(root, 'agent/model/onnx/generated/messages.ts');
const prettier = join(
  dirname(createRequire(import.meta.url).resolve('prettier/package.json')),
  'bin/prettier.cjs',
);
const formatted = execFileSync(process.execPath, [prettier, '--stdin-filepath', target], {
  input: source,
  cwd: root,
  encoding: 'utf8',
});
if (!process.argv.includes('--check')) writeFileSync(target, formatted);
else if (readFileSync(target, 'utf8') !== formatted) {
  console.error('agent/model/onnx/generated/messages.ts is out of date: run this script');
  process.exitCode = 1;
}
