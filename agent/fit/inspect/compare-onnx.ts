import { exposeProbes, layerModel, probeModel } from '../../model/onnx/compare-layers.ts';
import type { Probe, Probed } from '../../model/onnx/compare-layers.ts';
import { exposeTensors } from '../../model/onnx/expose.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { nodeLabel, opName } from '../../model/onnx/graph.ts';
import { isMover } from '../../model/onnx/integer-ops.ts';
import { writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { pairTensors } from '../../model/onnx/pair-tensors.ts';
import { writeFileDurably } from '../../util/files.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import type { FitWorker } from '../children.ts';
import type { ComparedTensors } from './compare-tensors.ts';
import { groupBySize, joined } from './compared-layers.ts';
import type { ComparedLayers } from './compared-layers.ts';
import { checkPairs } from './inspect-checks.ts';
import type { CompareNames } from './inspect-checks.ts';
import { counted } from '../progress.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';

/** What both models are run on, and what the user called them. */
export interface CompareHow {
  readonly job: SampleJob;
  readonly threads: number;
  readonly names: CompareNames;
}

/** So many tensors at a time are measured before they are grouped. */
const SIZED_TOGETHER = 128;
/** The file of the layers cut apart. */
export const LAYERS = 'layers.onnx';

/**
 * Compares two ONNX models, twice: as the quantized model computes it, and layer by layer on the float
 * model's values. No optimization is on, so that every tensor keeps its name: layers in QDQ form are
 * then emulated in float, up to the rounding inside of integer kernels.
 */
export async function compareOnnx(
  float: OnnxModel,
  quantized: OnnxModel,
  { names, ...how }: CompareHow,
  scratch: Scratch,
  hooks: Hooks,
): Promise<ComparedLayers> {
  const pairing = pairTensors(float, quantized);
  checkPairs(pairing.pairs, names);
  const probed = probeModel(quantized, pairing.pairs);
  const found = await new ComparisonRun(float, probed, how).over(scratch, hooks);
  return {
    found,
    gone: pairing.unmatched.map(({ tensor, node }) => ({ tensor, ...labels(node) })),
    layers: probed.probes.map(({ tensor, node, integer, output, madeFrom }) => {
      return { tensor, ...labels(node), integer, output, madeFrom, moves: isMover(node) };
    }),
  };
}

const labels = (node: NodeProto) => ({ node: nodeLabel(node), op: opName(node) });

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
