import { readFileSync } from 'node:fs';
import { compact } from '../../model/tflite/compact.ts';
import { openTflite, writeTflite } from '../../model/tflite/open.ts';
import type { TfliteGraph } from '../../model/tflite/types.ts';
import { messageOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';
import type { OpenOptions } from '../types.ts';
import type { Pointer, XnnpackApi } from './api.ts';
import type { FileFacts } from './file-facts.ts';
import type { Tflite } from './native.ts';

/** A model as the library holds it. */
export interface LoadedModel {
  readonly pointer: Pointer;
  /** XNNPACK, where it may be given this model. */
  readonly xnnpack: XnnpackApi | null;
  /** Why it may not, though it was wanted; or null. */
  readonly note: string | null;
  /** What the library reads for as long as it has the model; null where it reads the file itself. */
  readonly bytes: Uint8Array | null;
}

/**
 * Loads a model file as it is, or without the operators that compute for nobody: XNNPACK of TFLite
 * 2.9 ends the process when it is given one. What cannot be written without them runs without
 * XNNPACK. Inputs and outputs keep their places. Throws RuntimeFailure.
 */
export function loadModel(
  tflite: Tflite,
  modelPath: string,
  facts: FileFacts,
  { optimization, delegate }: OpenOptions,
): LoadedModel {
  const wanted = optimization !== 'disabled' && delegate === undefined;
  const xnnpack = wanted ? tflite.api.xnnpack : null;
  const asItIs = (more: Pick<LoadedModel, 'xnnpack' | 'note'>): LoadedModel => {
    const pointer = created(modelPath, tflite.api.modelCreateFromFile(modelPath));
    return { pointer, bytes: null, ...more };
  };
  if (xnnpack === null) return asItIs({ xnnpack, note: wanted ? lacks(tflite) : null });
  if (facts.hasShortWindows) return asItIs({ xnnpack: null, note: SHORT_WINDOWS });
  if (!facts.hasUnreadResults) return asItIs({ xnnpack, note: null });
  const bytes = withoutUnread(modelPath);
  if (typeof bytes === 'string') return asItIs({ xnnpack: null, note: unsafe(bytes) });
  const pointer = created(modelPath, tflite.api.modelCreate(bytes, bytes.byteLength));
  return { pointer, xnnpack, note: null, bytes };
}

function created(modelPath: string, pointer: Pointer | null): Pointer {
  if (pointer !== null) return pointer;
  const message = `cannot load ${modelPath}: not a TFLite model, or cut short`;
  throw new RuntimeFailure('INVALID_MODEL', message);
}

/** The smaller model's bytes, or why there are none. */
function withoutUnread(modelPath: string): Uint8Array | string {
  try {
    const model = openTflite(readFileSync(modelPath));
    // A tensor that only a signature names is no output of the graph, so that nobody can read it.
    const smaller = compact({ ...model, signatures: [] });
    if (smaller.subgraphs.some(hasIdleCustom)) return 'custom operators may do more than compute';
    const pieces = writeTflite(smaller);
    // Memory of its own: contents of a model lie at multiples of 16, which a pooled Buffer does not.
    const bytes = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.byteLength;
    }
    return bytes;
  } catch (error) {
    return messageOf(error);
  }
}

/** XNNPACK takes some custom operators; of the others that have to stay it takes none. */
function hasIdleCustom({ operators, outputs }: TfliteGraph): boolean {
  const read = new Set([...outputs, ...operators.flatMap(({ inputs }) => inputs)]);
  return operators.some((one) => one.op === 'CUSTOM' && !one.outputs.some((at) => read.has(at)));
}

const SHORT_WINDOWS =
  "convolutions of this model leave over the end of their input, which XNNPACK computes wrongly (padding SAME, steps longer than the filter): it runs on TFLite's own kernels, which are slower";

const lacks = ({ version }: Tflite) =>
  `the TFLite ${version} in use has no XNNPACK: it runs on TFLite's own kernels, which are many times slower ('agent doctor' says which library that is)`;

const unsafe = (why: string) =>
  `operators of this model compute what nobody reads, which XNNPACK does not survive, and they cannot be left out (${why}): it runs on TFLite's own kernels, which are slower`;
