import { readFileSync } from 'node:fs';
import { compact } from '../../model/tflite/compact.ts';
import { MAX_INSIDE_BYTES } from '../../model/tflite/limits.ts';
import { openTflite, writeTflite } from '../../model/tflite/open.ts';
import type { TfliteGraph, TfliteModel } from '../../model/tflite/types.ts';
import { messageOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';
import type { OpenOptions } from '../types.ts';
import type { Pointer, XnnpackApi } from './api.ts';
import type { FileFacts } from './file-facts.ts';
import type { Tflite } from './native.ts';
import { isNewer } from './op-versions.ts';

/** The first TFLite that reads constants behind the flatbuffer (`Buffer.offset` of the schema). */
const READS_OUTSIDE = '2.15';

/** A model as the library holds it. */
export interface LoadedModel {
  readonly pointer: Pointer;
  /** XNNPACK, where it may be given this model. */
  readonly xnnpack: XnnpackApi | null;
  /** Why it may not, though it was wanted; or null. */
  readonly note: string | null;
  /** What else is worth knowing of how it was loaded, or null. */
  readonly remark: string | null;
  /** What the library reads for as long as it has the model; null where it reads the file itself. */
  readonly bytes: Uint8Array | null;
}

/**
 * Loads a model file as it is, or written anew in memory where the library would not survive it or could
 * not read it: without the operators that compute for nobody, at which XNNPACK of TFLite 2.9 ends the
 * process, and with the constants inside the flatbuffer, where libraries before 2.15 look for them. What
 * cannot be written without those operators runs without XNNPACK. Inputs and outputs keep their places.
 * Throws RuntimeFailure.
 */
export function loadModel(
  tflite: Tflite,
  modelPath: string,
  facts: FileFacts,
  options: OpenOptions,
): LoadedModel {
  const outside = facts.hasOutsideConstants && isNewer(READS_OUTSIDE, tflite.version);
  const allowed = xnnpackFor(tflite, facts, options);
  const less = allowed.xnnpack !== null && facts.hasUnreadResults ? withoutUnread(modelPath) : null;
  const whole = typeof less === 'string' ? { xnnpack: null, note: unsafe(less) } : allowed;
  const inside = () => (outside ? withConstantsInside(tflite, modelPath) : null);
  const bytes = less instanceof Uint8Array ? less : inside();
  const pointer =
    bytes === null
      ? tflite.api.modelCreateFromFile(modelPath)
      : tflite.api.modelCreate(bytes, bytes.byteLength);
  const remark = outside ? inMemory(tflite) : null;
  return { pointer: created(modelPath, pointer), ...whole, bytes, remark };
}

/** XNNPACK, if it is wanted, there, and right for the model; or why not. */
function xnnpackFor(
  tflite: Tflite,
  facts: FileFacts,
  { optimization, delegate }: OpenOptions,
): Pick<LoadedModel, 'xnnpack' | 'note'> {
  if (optimization === 'disabled' || delegate !== undefined) return { xnnpack: null, note: null };
  const { xnnpack } = tflite.api;
  if (xnnpack === null) return { xnnpack, note: lacks(tflite) };
  return facts.hasShortWindows ? { xnnpack: null, note: SHORT_WINDOWS } : { xnnpack, note: null };
}

function created(modelPath: string, pointer: Pointer | null): Pointer {
  if (pointer !== null) return pointer;
  const message = `cannot load ${modelPath}: not a TFLite model, or cut short`;
  throw new RuntimeFailure('INVALID_MODEL', message);
}

/** The smaller model's bytes, with all constants inside; or why there are none. */
function withoutUnread(modelPath: string): Uint8Array | string {
  try {
    const model = openTflite(readFileSync(modelPath));
    // A tensor that only a signature names is no output of the graph, so that nobody can read it.
    const smaller = compact({ ...model, signatures: [] });
    if (smaller.subgraphs.some(hasIdleCustom)) return 'custom operators may do more than compute';
    return inOnePiece(smaller);
  } catch (error) {
    return messageOf(error);
  }
}

function withConstantsInside(tflite: Tflite, modelPath: string): Uint8Array {
  try {
    return inOnePiece(openTflite(readFileSync(modelPath)));
  } catch (cause) {
    const message = `cannot load ${modelPath}: its constants lie behind the flatbuffer, where TFLite ${tflite.version} does not look for them (${READS_OUTSIDE} and later do), and they cannot be put inside: ${messageOf(cause)}`;
    throw new RuntimeFailure('UNSUPPORTED', message, { cause });
  }
}

/** A file whose constants lie inside the flatbuffer. Throws ModelError and RangeError. */
function inOnePiece(model: TfliteModel): Uint8Array {
  const pieces = writeTflite({ ...model, constantsOutside: false });
  // Memory of its own: contents of a model lie at multiples of 16, which a pooled Buffer does not.
  const length = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (length > MAX_INSIDE_BYTES) throw new RangeError('they take over 2 GB');
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

/** XNNPACK takes some custom operators; of the others that have to stay it takes none. */
function hasIdleCustom({ operators, outputs }: TfliteGraph): boolean {
  const read = new Set([...outputs, ...operators.flatMap(({ inputs }) => inputs)]);
  return operators.some((one) => one.op === 'CUSTOM' && !one.outputs.some((at) => read.has(at)));
}

const inMemory = ({ version }: Tflite) =>
  `its constants lie behind the flatbuffer, where TFLite ${version} does not look for them: it runs from a copy in memory that has them inside`;

const SHORT_WINDOWS =
  "convolutions of this model leave over the end of their input, which XNNPACK computes wrongly (padding SAME, steps longer than the filter): it runs on TFLite's own kernels, which are slower";

const lacks = ({ version }: Tflite) =>
  `the TFLite ${version} in use has no XNNPACK: it runs on TFLite's own kernels, which are many times slower ('agent doctor' says which library that is)`;

const unsafe = (why: string) =>
  `operators of this model compute what nobody reads, which XNNPACK does not survive, and they cannot be left out (${why}): it runs on TFLite's own kernels, which are slower`;
