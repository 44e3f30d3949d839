import { messageOf } from '../util/errors.ts';
import { RuntimeFailure, type RuntimeFailureCode } from './errors.ts';

/*
 * onnxruntime reports everything as text and nothing as a code, so its text is all there is to go by.
 * Where no pattern fits, the text itself is passed on, cleaned.
 */

type Explanation = readonly [
  pattern: RegExp,
  code: RuntimeFailureCode,
  say: (groups: readonly string[]) => string,
];

const LOAD: readonly Explanation[] = [
  [
    /bad_alloc|bad allocation|Failed to allocate memory/i,
    'OUT_OF_MEMORY',
    () => 'not enough memory to load it',
  ],
  [
    /Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)/s,
    'UNSUPPORTED',
    ([opset, domain, newest]) =>
      `opset ${opset} of ${domain} is too new, this onnxruntime supports up to ${newest}: export it with opset ${newest} or lower`,
  ],
  [
    /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    'UNSUPPORTED',
    ([version, newest]) =>
      `IR version ${version} is too new, this onnxruntime supports up to ${newest}: export it with an older exporter`,
  ],
  [
    /External data path does not exist: "([^"]+)"/,
    'MISSING_FILE',
    ([file]) => `its weights are in ${file}, which is missing: put that file there`,
  ],
  [
    /External initializer: (\S+) offset: \d+ size to read: \d+ given file_length: (\d+)/,
    'INVALID_MODEL',
    ([name, length]) =>
      `its weights file has only ${length} bytes, too few for tensor '${name}': copy it again`,
  ],
  [
    /(?:Fatal error: )?([\w.]*):(\w+)\(-?\d+\) is not a registered function\/op/,
    'UNSUPPORTED',
    ([domain, op]) => `op ${op} of domain '${domain}' is unknown to onnxruntime`,
  ],
  [
    /In Node, \("([^"]*)", (\w+), "([^"]*)".*No opset import for domain/s,
    'UNSUPPORTED',
    ([node, op, domain]) =>
      `op ${op} of domain '${domain}' (node '${node}') is unknown to onnxruntime`,
  ],
  [
    /In Node, \("([^"]*)",.*No Op registered for (\w+) with domain_version of (\d+)/s,
    'UNSUPPORTED',
    ([node, op, opset]) => `op ${op} (node '${node}') does not exist in opset ${opset}`,
  ],
  [
    /Could not find an implementation for (\w+)\((\d+)\) node with name '([^']*)'/,
    'UNSUPPORTED',
    ([op, opset, node]) =>
      `op ${op} (opset ${opset}, node '${node}') has no implementation here for its data types`,
  ],
  [
    /OrtValue indexes should have been populated/,
    'INVALID_MODEL',
    () => 'its graph is empty: it computes nothing',
  ],
  [
    /Protobuf parsing failed|ModelProto does not have a graph/,
    'INVALID_MODEL',
    () => 'not an ONNX model, or cut short',
  ],
];

const RUN: readonly Explanation[] = [
  [
    /bad_alloc|bad allocation|Failed to allocate memory/i,
    'OUT_OF_MEMORY',
    () => 'not enough memory to run it',
  ],
];

const MAX_MESSAGE = 300;

/** The error for a model that onnxruntime refused to load: one line with a code. */
export function loadFailure(modelPath: string, error: unknown): RuntimeFailure {
  return explain(LOAD, 'INVALID_MODEL', `cannot load ${modelPath}`, error);
}

/** The error for a run that failed inside onnxruntime: one line with a code. */
export function runFailure(modelPath: string, error: unknown): RuntimeFailure {
  return explain(RUN, 'RUN_FAILED', `cannot run ${modelPath}`, error);
}

function explain(
  table: readonly Explanation[],
  otherwise: RuntimeFailureCode,
  what: string,
  error: unknown,
): RuntimeFailure {
  const text = messageOf(error);
  for (const [pattern, code, say] of table) {
    const match = pattern.exec(text);
    if (match) return new RuntimeFailure(code, `${what}: ${say(match.slice(1))}`, { cause: error });
  }
  return new RuntimeFailure(otherwise, `${what}: ${clean(text)}`, { cause: error });
}

/** Removes source paths, C++ signatures and line breaks. */
function clean(text: string): string {
  const line = text
    .replace(/^Load model from .*? failed:/s, '')
    .replaceAll(/\S+\.(?:cc|h):\d+ (?:[^()]*\([^()]*(?:\([^()]*\)[^()]*)*\) )?/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE)}...` : line;
}
