import { ModelError } from '../errors.ts';
import { arenaBytes } from './arena.ts';
import { microOps } from './micro-ops.ts';
import { uniqueTensorNames } from './tensor-names.ts';
import type { TfliteGraph, TfliteModel } from './types.ts';

/**
 * A model as C or C++ source for TensorFlow Lite Micro: the bytes, what goes in and out, the operators
 * to register, and how large an arena to start with.
 * @param bytes the model's file
 * @param name what the symbols in the source begin with
 * @throws ModelError when the name is none for C
 */
export function emitC(bytes: Uint8Array, name: string, model: TfliteModel): string {
  if (!IDENTIFIER.test(name)) {
    throw new ModelError('MALFORMED', `'${name}' cannot begin a name in C: use letters, digits, _`);
  }
  const [main] = model.subgraphs;
  const inputs = main === undefined ? [] : tensorRows(main, main.inputs);
  const outputs = main === undefined ? [] : tensorRows(main, main.outputs);
  return [
    header(bytes, model),
    TENSOR_TYPE,
    '#ifdef __cplusplus',
    'extern "C" {',
    '#endif',
    `extern const uint8_t ${name}[${bytes.length}];`,
    `extern const size_t ${name}_length;`,
    table(`${name}_inputs`, inputs, true),
    table(`${name}_outputs`, outputs, true),
    '#ifdef __cplusplus',
    '}',
    '#endif',
    '',
    `alignas(16) const uint8_t ${name}[${bytes.length}] = {`,
    ...byteLines(bytes),
    '};',
    `const size_t ${name}_length = sizeof(${name});`,
    table(`${name}_inputs`, inputs, false),
    table(`${name}_outputs`, outputs, false),
    '',
  ].join('\n');
}

const IDENTIFIER = /^[A-Za-z_]\w*$/;

function header(bytes: Uint8Array, model: TfliteModel): string {
  const { calls, missing } = microOps(model);
  const arena = arenaBytes(model);
  const memory =
    arena === null
      ? 'The arena cannot be estimated: the file leaves sizes of tensors open.'
      : `Arena: about ${arena} bytes for tensors. An estimate: kernels and the interpreter need more.`;
  const lines = [
    `A TFLite model of ${bytes.length} bytes, for TensorFlow Lite Micro.`,
    '',
    memory,
    '',
    'Operators:',
    `  static tflite::MicroMutableOpResolver<${calls.length + missing.length}> resolver;`,
    ...calls.map((call) => `  resolver.${call}();`),
    ...missing.map((op) => `  TensorFlow Lite Micro has no kernel for ${op}`),
  ];
  return `/*\n${lines.map((line) => ` * ${commentText(line)}`.trimEnd()).join('\n')}\n */`;
}

/** Several models may be compiled together. */
const TENSOR_TYPE = `
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#ifndef EDGEFIT_TENSOR
#define EDGEFIT_TENSOR
/* real = (stored - zero_point) * scale; the scale is 0 where values are stored as they are. */
typedef struct {
  const char *name;
  const char *type;
  int32_t rank;
  const int32_t *shape;
  float scale;
  int32_t zero_point;
} edgefit_tensor;
#endif
`;

interface TensorRow {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly scale: number;
  readonly zeroPoint: number;
}

function tensorRows(graph: TfliteGraph, indices: readonly number[]): readonly TensorRow[] {
  const names = uniqueTensorNames(graph);
  return indices.flatMap((index) => {
    const tensor = graph.tensors[index];
    if (tensor === undefined) return [];
    const { type, shape, quantization } = tensor;
    const [scale = 0] = quantization?.scale ?? [];
    const [zeroPoint = 0] = quantization?.zeroPoint ?? [];
    return [{ name: names[index] ?? '', type: type.toLowerCase(), shape, scale, zeroPoint }];
  });
}

/** Arrays need an element in C, so an empty list has one that is not counted. */
function table(name: string, rows: readonly TensorRow[], isDeclaration: boolean): string {
  const size = Math.max(rows.length, 1);
  if (isDeclaration) {
    return `extern const size_t ${name}_count;\nextern const edgefit_tensor ${name}[${size}];`;
  }
  const shapes = rows.map(
    ({ shape }, index) =>
      `static const int32_t ${name}_shape_${index}[] = {${shape.length === 0 ? '0' : shape.join(', ')}};`,
  );
  const entries = rows.map(
    ({ name: tensor, type, shape, scale, zeroPoint }, index) =>
      `    {${cText(tensor)}, "${type}", ${shape.length}, ${name}_shape_${index}, ${cFloat(scale)}, ${zeroPoint}},`,
  );
  if (entries.length === 0) entries.push('    {"", "", 0, NULL, 0.0f, 0},');
  return [
    ...shapes,
    `const size_t ${name}_count = ${rows.length};`,
    `const edgefit_tensor ${name}[${size}] = {`,
    ...entries,
    '};',
  ].join('\n');
}

const BYTES_PER_LINE = 16;

function* byteLines(bytes: Uint8Array): Generator<string> {
  for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
    const line = Array.from(bytes.subarray(at, at + BYTES_PER_LINE), (byte) => HEX[byte] ?? '');
    yield `    ${line.join(', ')},`;
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => `0x${byte.toString(16).padStart(2, '0')}`);

/** Nine digits tell every float32 from its neighbours. */
function cFloat(value: number): string {
  const text = String(Number(Math.fround(value).toPrecision(9)));
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** Octal escapes, which end after three digits whatever follows; `?` because of trigraphs. */
function cText(text: string): string {
  const escaped = [...Buffer.from(text, 'utf8')].map((byte) => {
    const isPlain =
      byte >= 0x20 && byte < 0x7f && !['"', '\\', '?'].includes(String.fromCharCode(byte));
    return isPlain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
  });
  return `"${escaped.join('')}"`;
}

/** Names from a file must not end the comment or begin a line of their own. */
function commentText(text: string): string {
  return text.replaceAll('*/', '* /').replaceAll(/[^\x20-\x7e]/g, '?');
}
