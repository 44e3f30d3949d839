import { elementCount } from '../../model/tflite/tensor.ts';
import { exposableTensors, exposeTensors } from '../../model/tflite/expose.ts';
import { opName, operatorLabels } from '../../model/tflite/graph.ts';
import { numericKind } from '../../model/tflite/numeric-kind.ts';
import { writeTflite } from '../../model/tflite/open.ts';
import type { TfliteModel, TfliteTensor } from '../../model/tflite/types.ts';
import { OP_TABLE } from '../../quantize/tflite/op-table.ts';
import { writeFileDurably } from '../../util/files.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import type { CompareHow } from '../inspect/compare-onnx.ts';
import { groupBySize, joined } from '../inspect/compared-layers.ts';
import type { ComparedLayer, ComparedLayers } from '../inspect/compared-layers.ts';
import type { ComparedTensors } from '../inspect/compare-tensors.ts';
import { checkPairs } from '../inspect/inspect-checks.ts';
import { counted } from '../progress.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';
import { withUniqueNames } from './operators.ts';

const FLOAT_BYTES = 4;
const PHASE = 'measuring the error of each layer';

/**
 * Compares two TFLite models tensor by tensor, by name: quantizing keeps names. Every tensor is an
 * output of a rewritten model, and integers are read as the numbers that they stand for.
 */
export async function compareTflite(
  float: TfliteModel,
  quantized: TfliteModel,
  { job, threads, names }: CompareHow,
  scratch: Scratch,
  hooks: Hooks,
): Promise<ComparedLayers> {
  const [wanted, given] = [layersOf(float), layersOf(quantized)];
  const byTensor = new Map(given.map((layer) => [layer.tensor, layer]));
  const shown = new Set(exposableTensors(float));
  const layers = wanted.flatMap((layer) => {
    const other = byTensor.get(layer.tensor);
    return other === undefined || !shown.has(layer.tensor)
      ? []
      : [{ ...layer, integer: other.integer }];
  });
  checkPairs(layers, names);
  const found = await inChild({
    name: 'comparing layers',
    signal: hooks.signal,
    scratch,
    use: async (worker) => {
      const parts: ComparedTensors[] = [];
      for (const group of groupBySize(layers, sizesOf(float))) {
        const tensors = group.map(({ tensor }) => tensor);
        // oxlint-disable-next-line no-await-in-loop -- groups are there to not be in memory at once
        const request = {
          float: await written(exposeTensors(float, tensors), 'float.tflite', scratch),
          quantized: await written(exposeTensors(quantized, tensors), 'quantized.tflite', scratch),
          layers: null,
          plan: { names: tensors.map((tensor) => ({ tensor, read: tensor })), feeds: [] },
          job,
          threads,
        };
        hooks.progress({ phase: PHASE });
        parts.push(
          // oxlint-disable-next-line no-await-in-loop -- as above
          await worker.call('compareTensors', request, {
            timeoutMs: LOAD_TIMEOUT_MS,
            onProgress: (value) => hooks.progress({ phase: PHASE, ...counted(value) }),
          }),
        );
      }
      return joined(parts);
    },
  });
  const gone = wanted.filter(({ tensor }) => !byTensor.has(tensor));
  return { layers, gone: gone.map(({ tensor, node, op }) => ({ tensor, node, op })), found };
}

async function written(model: TfliteModel, name: string, scratch: Scratch): Promise<string> {
  const path = scratch.file(name);
  await writeFileDurably(path, writeTflite(model));
  return path;
}

/** Every tensor of the main graph that an operator makes, by the operator. */
function layersOf(model: TfliteModel): readonly ComparedLayer[] {
  const [graph] = withUniqueNames(model).subgraphs;
  const [original] = model.subgraphs;
  if (graph === undefined || original === undefined) return [];
  const labels = operatorLabels(model);
  const nameOf = (at: number) => graph.tensors[at]?.name ?? '';
  return original.operators.flatMap((operator) =>
    operator.outputs.map((at): ComparedLayer => {
      const rule = OP_TABLE.get(operator.op);
      return {
        tensor: nameOf(at),
        node: labels.get(operator) ?? '',
        op: opName(operator),
        integer: numericKind(graph, operator) !== 'float',
        output: graph.outputs.includes(at),
        madeFrom: operator.inputs.filter((input) => isActivation(graph.tensors[input])).map(nameOf),
        moves: rule?.role === 'layout',
      };
    }),
  );
}

const isActivation = (tensor: TfliteTensor | undefined) =>
  tensor !== undefined && tensor.data === null && tensor.externalBuffer === 0;

function sizesOf(model: TfliteModel): ReadonlyMap<string, number> {
  const [graph] = withUniqueNames(model).subgraphs;
  return new Map(
    (graph?.tensors ?? []).map(({ name, shape }) => [name, elementCount(shape) * FLOAT_BYTES]),
  );
}
