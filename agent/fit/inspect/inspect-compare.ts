import { sqnrDbOf, sumOf } from '../../bench/tensor-error.ts';
import type { Comparison, LayerError } from '../../contracts/inspect.ts';
import { LAYERS, compareOnnx } from './compare-onnx.ts';
import type { CompareHow } from './compare-onnx.ts';
import type { ComparedTensor } from './compare-tensors.ts';
import { FitError } from '../errors.ts';
import type { ComparedLayer, ComparedLayers } from './compared-layers.ts';
import { checkModels, checkCompared, samplesToCompare } from './inspect-checks.ts';
import type { CompareNames } from './inspect-checks.ts';
import { worstLayers } from './inspect-words.ts';
import type { ReadModel } from './inspect.ts';
import type { Scratch } from '../scratch.ts';
import { workThreads } from '../subject.ts';
import type { Subject } from '../subject.ts';
import type { Hooks } from '../types.ts';

export interface CompareLimits {
  readonly limit: number;
  /** As the user called the models. */
  readonly names: CompareNames;
}

/** Layers that a summary names. */
const WORST = 5;

/** Runs both models on the same samples and compares every tensor that both have. */
export async function compareModels(
  subject: Subject,
  quantized: ReadModel,
  { limit, names }: CompareLimits,
  scratch: Scratch,
  hooks: Hooks,
): Promise<{ comparison: Comparison; warnings: string[] }> {
  const float = subject.loaded.model;
  checkModels(float, quantized.loaded.model, names);
  const { job, source } = samplesToCompare(subject, limit, names);
  const how = { job, threads: workThreads(subject), names };
  const compared = await compareLayers(subject, quantized, how, scratch, hooks);
  const { found } = compared;
  checkCompared(found, names);
  const gone = compared.gone.map((one) => ({ ...one, reason: 'not in the quantized model' }));
  const unlike = compared.layers.flatMap(({ tensor, node, op }) =>
    found.unlike.includes(tensor)
      ? [{ tensor, node, op, reason: 'of another size in the quantized model' }]
      : [],
  );
  const layers = layerErrors(compared.layers, found.tensors);
  const outputs = found.tensors.filter(({ tensor }) =>
    layers.some((layer) => layer.output && layer.tensor === tensor),
  );
  const total = sqnrDbOf(sumOf(outputs.map(({ values }) => values)));
  const comparison = {
    samples: found.samples,
    source,
    ...(outputs.length === 0 ? {} : { sqnrDb: total }),
    layers,
    worst: worstLayers(layers)
      .slice(0, WORST)
      .map(({ tensor }) => tensor),
    unmatched: [...gone, ...unlike],
  };
  const { problem } = found;
  const why = (problem ?? '').replaceAll(scratch.file(LAYERS), 'the layers cut apart');
  const warning = `what each layer adds itself is not known: ${why}`;
  return { comparison, warnings: problem === undefined ? [] : [warning] };
}

async function compareLayers(
  { loaded: { model: float } }: Subject,
  { loaded: { model: quantized } }: ReadModel,
  how: CompareHow,
  scratch: Scratch,
  hooks: Hooks,
): Promise<ComparedLayers> {
  if (float.format === 'onnx' && quantized.format === 'onnx') {
    return compareOnnx(float, quantized, how, scratch, hooks);
  }
  if (float.format !== 'tflite' || quantized.format !== 'tflite') {
    const { names } = how;
    const message = `${names.float} is ${float.format} and ${names.quantized} is ${quantized.format}: layers of one format can be compared`;
    throw new FitError('not-comparable', message);
  }
  const { compareTflite } = await import('../tflite/compare-models.ts');
  return compareTflite(float, quantized, how, scratch, hooks);
}

function layerErrors(
  layers: readonly ComparedLayer[],
  tensors: readonly ComparedTensor[],
): readonly LayerError[] & LayerError[] {
  const found = new Map(tensors.map((one) => [one.tensor, one]));
  return layers.flatMap(({ tensor, node, op, integer, output, madeFrom, moves }) => {
    const one = found.get(tensor);
    if (one === undefined) return [];
    const { values } = one;
    const own = moves && madeFrom.length > 0 ? null : one.own;
    return {
      tensor,
      node,
      op,
      integer,
      output,
      sqnrDb: sqnrDbOf(values),
      ...lowestInput(madeFrom, found),
      ...(own === null ? {} : { ownSqnrDb: sqnrDbOf(own) }),
      maxAbsError: values.maxAbsError,
      floatRange: values.referenceRange,
      quantizedRange: values.range,
      values: values.values,
    };
  });
}

function lowestInput(
  madeFrom: readonly string[],
  found: ReadonlyMap<string, ComparedTensor>,
): { inputSqnrDb?: number | null } {
  const before = madeFrom.flatMap((name) => found.get(name)?.values ?? []);
  if (before.length === 0) return {};
  const lowest = Math.min(...before.map((values) => sqnrDbOf(values) ?? Infinity));
  return { inputSqnrDb: lowest === Infinity ? null : lowest };
}
