import type { NumericKind } from '../../model/tflite/numeric-kind.ts';
import type { TensorType, TfliteModel } from '../../model/tflite/types.ts';
import { QuantizeError } from '../errors.ts';
import { COMPILED, look } from './look.ts';
import type { CompiledKind, Found } from './look.ts';
import { WORDS, compiledWords, customWords, exceptions } from './recognized-words.ts';

/** How a model is quantized already, if it is. */
export type TfliteKind =
  | 'float'
  /** Trained with FAKE_QUANT operators, still in float. */
  | 'fake-quant'
  | 'int8'
  /** Asymmetric uint8 weights and activations, as tools wrote until 2019. */
  | 'uint8'
  /** int16 activations, int8 weights. */
  | 'int16x8'
  /** 8-bit weights, float activations that kernels quantize while they run. */
  | 'dynamic-range'
  /** 8-bit weights that a DEQUANTIZE makes floats again. */
  | 'weight-only'
  /** float16 weights that a DEQUANTIZE makes float32. */
  | 'float16-weights'
  /** Layers with integers and layers in float. */
  | 'partly-quantized'
  | CompiledKind;

export interface Recognized {
  readonly kind: TfliteKind;
  /** For reports: `compiled for the Edge TPU; 7 operators are left for the CPU: ...`. */
  readonly words: string;
  /** Operators by the kind of numbers they compute with. */
  readonly counts: Readonly<Record<NumericKind, number>>;
  /** Names of operators that are neither TFLite's own nor of a compiler. */
  readonly custom: readonly string[];
  /** For compiled models: operators outside the compiled parts, by name, with how many there are. */
  readonly onCpu?: ReadonlyMap<string, number>;
}

export function recognizeTflite(model: TfliteModel): Recognized {
  const found = look(model);
  const custom = [...found.custom].filter((name) => !COMPILED.has(name));
  const compiled = [...found.custom].flatMap((name) => COMPILED.get(name) ?? [])[0];
  if (compiled !== undefined) {
    const { kind, device } = compiled;
    const words = compiledWords(device, found);
    return { kind, words, counts: found.counts, custom, onCpu: found.onCpu };
  }
  const kind = kindOf(found);
  const words = [WORDS[kind], ...exceptions(kind, found), ...customWords(custom)].join('; ');
  return { kind, words, counts: found.counts, custom };
}

/** Must not be quantized again. What has only stored weights, or trained ranges, may be. */
const FINISHED: ReadonlySet<TfliteKind> = new Set<TfliteKind>([
  'int8',
  'uint8',
  'int16x8',
  'partly-quantized',
  'edgetpu-compiled',
  'ethos-u-compiled',
]);

export function isQuantizedTflite(model: TfliteModel): boolean {
  return FINISHED.has(recognizeTflite(model).kind);
}

/** @throws QuantizeError when a model is quantized already */
export function refuseQuantized(model: TfliteModel): void {
  const { kind, words } = recognizeTflite(model);
  if (!FINISHED.has(kind)) return;
  throw new QuantizeError(
    'ALREADY_QUANTIZED',
    `the model is quantized already (${words}): give the float model`,
  );
}

const BY_ACTIVATIONS = new Map<TensorType, TfliteKind>([
  ['UINT8', 'uint8'],
  ['INT16', 'int16x8'],
]);

function kindOf({ counts, fakeQuants, activations, floatLayers, decoded }: Found): TfliteKind {
  if (fakeQuants > 0) return 'fake-quant';
  if (counts.integer > 0) {
    if (floatLayers.length + counts.hybrid > 0) return 'partly-quantized';
    const [most] = [...activations].toSorted(([, a], [, b]) => b - a);
    return BY_ACTIVATIONS.get(most?.[0] ?? 'INT8') ?? 'int8';
  }
  if (counts.hybrid > 0) return 'dynamic-range';
  if (decoded.has('FLOAT16')) return 'float16-weights';
  return decoded.size > 0 ? 'weight-only' : 'float';
}
