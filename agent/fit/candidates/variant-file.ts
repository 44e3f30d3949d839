import type { Method } from '../../contracts/bench.ts';
import type { VariantSpec } from '../../contracts/manifest.ts';
import { allNodes, opName } from '../../model/onnx/graph.ts';
import type { Model } from '../../model/open.ts';
import { isQuantized } from '../../quantize/onnx/recognize.ts';
import { recognizeTflite, type TfliteKind } from '../../quantize/tflite/recognize.ts';
import { messageOf } from '../../util/errors.ts';
import { loadModel } from '../model-file.ts';
import { summarize } from '../summary.ts';
import type { ReadVariant } from './variants.ts';
import type { ModelFiles } from '../types.ts';

/** What the file of a variant tells of itself. */
export interface VariantFile {
  readonly files: ModelFiles & { readonly bytes: number };
  readonly format: Model['format'];
  readonly method: Method;
  /** `int8 weights and activations`. */
  readonly words: string;
  /** The chip without which it does not run; null for the CPU. */
  readonly compiledFor: 'Edge TPU' | 'Ethos-U' | null;
  /** Operators left for the CPU by name, where it is compiled. */
  readonly onCpu: ReadonlyMap<string, number>;
}

/** Reads the variants of a package. One that cannot be used says why; nothing is thrown. */
export async function readVariants(specs: readonly VariantSpec[]): Promise<readonly ReadVariant[]> {
  const read: ReadVariant[] = [];
  // oxlint-disable-next-line no-await-in-loop -- one model in memory at a time
  for (const spec of specs) read.push({ spec, file: await readVariant(spec) });
  return read;
}

async function readVariant(spec: VariantSpec): Promise<ReadVariant['file']> {
  try {
    const { model, path, sha256, bytes, companions } = await loadModel(spec.path);
    if (spec.sha256 !== undefined && spec.sha256 !== sha256) {
      return { problem: `${path} is not the file that the manifest describes: its sha256 differs` };
    }
    return { files: { path, companions, bytes }, format: model.format, ...describeModel(model) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

const METHODS: Readonly<Partial<Record<TfliteKind, Method>>> = {
  float: 'none',
  'fake-quant': 'none',
  'float16-weights': 'fp16',
  'dynamic-range': 'dynamic',
  'weight-only': 'weight-only',
};

const ONNX_WORDS = {
  dynamic: '8-bit weights, activations quantized while it runs',
  static: 'quantized weights and activations',
  fp16: 'float16 weights',
  none: 'not quantized',
} as const;

/** How a model that others made is quantized. Pure. */
export function describeModel(
  model: Model,
): Pick<VariantFile, 'method' | 'words' | 'compiledFor' | 'onCpu'> {
  if (model.format === 'tflite') {
    const { kind, words, onCpu = new Map() } = recognizeTflite(model);
    const compiledFor =
      kind === 'edgetpu-compiled' ? 'Edge TPU' : kind === 'ethos-u-compiled' ? 'Ethos-U' : null;
    return { method: METHODS[kind] ?? 'static', words, compiledFor, onCpu };
  }
  const isDynamic = [...allNodes(model.graph)].some((node) =>
    ['DynamicQuantizeLinear', 'DynamicQuantizeMatMul', 'DynamicQuantizeLSTM'].includes(
      opName(node),
    ),
  );
  const { precision } = summarize(model, { name: '', bytes: 0 });
  const float = precision === 'fp16' ? 'fp16' : 'none';
  const method = isDynamic ? 'dynamic' : isQuantized(model) ? 'static' : float;
  const words = ONNX_WORDS[method];
  return { method, words, compiledFor: null, onCpu: new Map() };
}
