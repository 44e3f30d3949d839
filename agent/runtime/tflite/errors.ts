import { RuntimeFailure, type RuntimeFailureCode } from '../errors.ts';
import { newerNeeded, opName } from './op-versions.ts';

/*
 * TFLite reports everything as text and nothing as a code, so its text is all there is to go by. It
 * puts no break between two messages. Where no pattern fits, the text itself is passed on.
 */

interface Context {
  /** Version of the loaded library. */
  readonly version: string;
}

type Explanation = readonly [
  pattern: RegExp,
  code: RuntimeFailureCode,
  say: (groups: readonly string[], context: Context) => string,
];

const EDGE_TPU_OP = 'edgetpu-custom-op';

const LOAD: readonly Explanation[] = [
  [
    /Didn't find op for builtin opcode '(\w+)' version '(\d+)'/,
    'UNSUPPORTED',
    ([op = '', version], { version: loaded }) => newerNeeded(op, Number(version), loaded),
  ],
  [
    /Op builtin_code out of range: (\d+)/,
    'UNSUPPORTED',
    ([code], { version }) => newerNeeded(opName(Number(code)), 1, version),
  ],
  [
    /Select TensorFlow op\(s\).*?Node number \d+ \(Flex(\w+)\)/s,
    'UNSUPPORTED',
    ([op]) =>
      `op ${op} is TensorFlow's own (Flex), which TFLite lacks: convert the model without SELECT_TF_OPS`,
  ],
  [
    /Encountered unresolved custom op: (.+?)\.\s/,
    'UNSUPPORTED',
    ([op]) =>
      op === EDGE_TPU_OP
        ? 'it is compiled for the Edge TPU: needs an Edge TPU and libedgetpu (--delegate libedgetpu.so.1)'
        : `custom op '${op}' is unknown to TFLite: it needs the application, the delegate or the chip that the model was made for`,
  ],
  [
    /Unsupported data type (\d+) in tensor/,
    'UNSUPPORTED',
    (_, { version }) => `a tensor has an element type that TFLite ${version} does not know`,
  ],
  [
    /(Tensor \d+ has invalid quantization parameters|[Qq]uantized_dimension must be in range)/,
    'INVALID_MODEL',
    () => 'the scales of a tensor do not fit its shape: convert the model again',
  ],
];

const MAX_MESSAGE = 300;

/** The error for a model that TFLite refused to load: one line with a code. */
export function loadFailure(
  modelPath: string,
  text: string,
  context: Context,
  otherwise: RuntimeFailureCode,
): RuntimeFailure {
  const what = `cannot load ${modelPath}`;
  for (const [pattern, code, say] of LOAD) {
    const match = pattern.exec(text);
    if (match) return new RuntimeFailure(code, `${what}: ${say(match.slice(1), context)}`);
  }
  return new RuntimeFailure(otherwise, `${what}: ${clean(text)}`);
}

/** The error for a run that failed inside TFLite: one line with a code. */
export function runFailure(modelPath: string, text: string): RuntimeFailure {
  return new RuntimeFailure('RUN_FAILED', `cannot run ${modelPath}: ${clean(text)}`);
}

/** One line without source paths; where TFLite said nothing, that. */
export function clean(text: string): string {
  const line = text
    .replaceAll(/\S*\/(\w+\.(?:cc|h)):\d+ ?/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  if (line === '') return 'TFLite does not say why';
  return line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE)}...` : line;
}
