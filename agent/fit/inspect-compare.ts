import { sqnrDbOf, sumOf } from '../bench/tensor-error.ts';
import type { Comparison, LayerError } from '../contracts/inspect.ts';
import { exposeProbes, layerModel, probeModel } from '../model/onnx/compare-layers.ts';
import type { Probe, Probed } from '../model/onnx/compare-layers.ts';
import { exposeTensors } from '../model/onnx/expose.ts';
import { nodeLabel, opName } from '../model/onnx/graph.ts';
import { isMover } from '../model/onnx/integer-ops.ts';
import { writeOnnx } from '../model/onnx/open.ts';
import type { OnnxModel } from '../model/onnx/open.ts';
import { pairTensors } from '../model/onnx/pair-tensors.ts';
import { writeFileDurably } from '../util/files.ts';
import { LOAD_TIMEOUT_MS, inChild } from './children.ts';
import type { FitWorker } from './children.ts';
import type { ComparedTensor, ComparedTensors } from './compare-tensors.ts';
import { worstLayers } from './inspect-words.ts';
import { checkModels, checkPairs, checkCompared, samplesToCompare } from './inspect-checks.ts';
import type { CompareNames } from './inspect-checks.ts';
import type { ReadModel } from './inspect.ts';
import { counted } from './progress.ts';
import type { SampleJob } from './sample-jobs.ts';
import type { Scratch } from './scratch.ts';
import { workThreads } from './subject.ts';
import type { Subject } from './subject.ts';
import type { Hooks } from './types.ts';

export interface CompareLimits {
  readonly limit: number;
  /** As the user called the models. */
  readonly names: CompareNames;
}

/** Tensors of this size together are outputs of one run; more of them take another run. */
const GROUP_BYTES = 64 * 2 ** 20;
/** So many tensors at a time are measured before they are grouped. */
const SIZED_TOGETHER = 128;
const LAYERS = 'layers.onnx';
/** Layers that a summary names. */
const WORST = 5;

/**
 * Runs both models on the same samples and compares every tensor that both have, twice: as the
 * quantized model computes it, and layer by layer on the float model's values. No optimization is on,
 * so that every tensor keeps its name: layers in QDQ form are then emulated in float, up to the
 * rounding inside of integer kernels.
 */
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
  const pairing = pairTensors(float, quantized.loaded.model);
  checkPairs(pairing, names);
  const probed = probeModel(quantized.loaded.model, pairing.pairs);
  const run = new ComparisonRun(float, probed, { job, threads: workThreads(subject) });
  const found = await run.over(scratch, hooks);
  checkCompared(found, names);
  const gone = pairing.unmatched.map(({ tensor, node }) => {
    return { tensor, ...labels(node), reason: 'not in the quantized model' };
  });
  const unlike = probed.probes.flatMap(({ tensor, node }) =>
    found.unlike.includes(tensor)
      ? [{ tensor, ...labels(node), reason: 'of another size in the quantized model' }]
      : [],
  );
  const layers = layerErrors(probed.probes, found.tensors);
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

const labels = (node: Probe['node']) => ({ node: nodeLabel(node), op: opName(node) });

function layerErrors(
  probes: readonly Probe[],
  tensors: readonly ComparedTensor[],
): readonly LayerError[] & LayerError[] {
  const found = new Map(tensors.map((one) => [one.tensor, one]));
  return probes.flatMap(({ tensor, node, integer, output, madeFrom }) => {
    const one = found.get(tensor);
    if (one === undefined) return [];
    const { values } = one;
    // What a layer that only moves values rounds has been rounded before it.
    const own = isMover(node) && madeFrom.length > 0 ? null : one.own;
    return {
      tensor,
      ...labels(node),
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

/** The runs that a comparison takes, in one child process, group of tensors by group of tensors. */
class ComparisonRun {
  readonly #float: OnnxModel;
  readonly #probed: Probed;
  readonly #how: { readonly job: SampleJob; readonly threads: number };

  constructor(
    float: OnnxModel,
    probed: Probed,
    how: { readonly job: SampleJob; readonly threads: number },
  ) {
    this.#float = float;
    this.#probed = probed;
    this.#how = how;
  }

  over(scratch: Scratch, hooks: Hooks): Promise<ComparedTensors> {
    const use = async (worker: FitWorker) => {
      hooks.progress({ phase: 'preparing the comparison' });
      const sizes = await this.#sizes(worker, scratch);
      const groups = groupBySize(this.#probed.probes, sizes);
      const parts: ComparedTensors[] = [];
      for (const [at, group] of groups.entries()) {
        const phase = 'measuring the error of each layer';
        const part = groups.length === 1 ? phase : `${phase}, part ${at + 1} of ${groups.length}`;
        // oxlint-disable-next-line no-await-in-loop -- groups are there to not be in memory at once
        parts.push(await this.#compare(worker, group, part, scratch, hooks));
      }
      return joined(parts);
    };
    return inChild({ name: 'comparing layers', signal: hooks.signal, scratch, use });
  }

  async #sizes(worker: FitWorker, scratch: Scratch): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const names = this.#probed.probes.map(({ tensor }) => tensor);
    for (let at = 0; at < names.length; at += SIZED_TOGETHER) {
      const part = exposeTensors(this.#float, names.slice(at, at + SIZED_TOGETHER));
      // oxlint-disable-next-line no-await-in-loop -- a part at a time bounds the memory
      const path = await written(part, 'sizes.onnx', scratch);
      const args = { path, job: this.#how.job };
      // oxlint-disable-next-line no-await-in-loop -- as above
      const found = await worker.call('outputBytes', args, { timeoutMs: LOAD_TIMEOUT_MS });
      for (const [name, bytes] of Object.entries(found)) sizes.set(name, bytes);
    }
    return sizes;
  }

  async #compare(
    worker: FitWorker,
    group: readonly Probe[],
    phase: string,
    scratch: Scratch,
    { progress }: Hooks,
  ): Promise<ComparedTensors> {
    const { model, feeds } = layerModel(this.#probed, group);
    const names = group.map(({ tensor, read }) => ({ tensor, read }));
    const wanted = [...names, ...feeds].map(({ tensor }) => tensor);
    const request = {
      float: await written(exposeTensors(this.#float, wanted), 'float.onnx', scratch),
      quantized: await written(exposeProbes(this.#probed.model, group), 'quantized.onnx', scratch),
      layers: await written(model, LAYERS, scratch),
      plan: { names, feeds },
      ...this.#how,
    };
    progress({ phase });
    return worker.call('compareTensors', request, {
      timeoutMs: LOAD_TIMEOUT_MS,
      onProgress: (value) => progress({ phase, ...counted(value) }),
    });
  }
}

async function written(model: OnnxModel, name: string, scratch: Scratch): Promise<string> {
  const path = scratch.file(name);
  await writeFileDurably(path, writeOnnx(model));
  return path;
}

/** Neighbours in the graph together, so that most of what a group needs is in it. */
export function groupBySize<T extends { readonly tensor: string }>(
  items: readonly T[],
  sizes: ReadonlyMap<string, number>,
  most = GROUP_BYTES,
): readonly (readonly T[])[] {
  const groups: T[][] = [];
  let used = 0;
  for (const item of items) {
    const bytes = sizes.get(item.tensor) ?? 0;
    const group = groups.at(-1);
    if (group !== undefined && used + bytes <= most) {
      group.push(item);
      used += bytes;
    } else {
      groups.push([item]);
      used = bytes;
    }
  }
  return groups;
}

function joined(parts: readonly ComparedTensors[]): ComparedTensors {
  return {
    samples: parts[0]?.samples ?? 0,
    tensors: parts.flatMap(({ tensors }) => tensors),
    unlike: parts.flatMap(({ unlike }) => unlike),
    problem: parts.find(({ problem }) => problem !== undefined)?.problem,
  };
}
