import { allOperators } from '../../model/tflite/calls.ts';
import { inputTensor, opName } from '../../model/tflite/graph.ts';
import { macsOf } from '../../model/tflite/macs.ts';
import { isQuantized, numericKind } from '../../model/tflite/numeric-kind.ts';
import type { NumericKind } from '../../model/tflite/numeric-kind.ts';
import { isConstant } from '../../model/tflite/tensor.ts';
import type {
  TensorType,
  TfliteGraph,
  TfliteModel,
  TfliteOperator,
} from '../../model/tflite/types.ts';

export type CompiledKind = 'edgetpu-compiled' | 'ethos-u-compiled';

/** What compilers of accelerators call the one operator that holds what they took. */
export const COMPILED: ReadonlyMap<
  string,
  { readonly kind: CompiledKind; readonly device: string }
> = new Map([
  ['edgetpu-custom-op', { kind: 'edgetpu-compiled', device: 'Edge TPU' }],
  ['ethos-u', { kind: 'ethos-u-compiled', device: 'Ethos-U' }],
] as const);

/** What tells how a model is quantized. */
export interface Found {
  readonly counts: Record<NumericKind, number>;
  readonly custom: Set<string>;
  readonly onCpu: Map<string, number>;
  readonly compiledParts: number;
  readonly fakeQuants: number;
  /** Operators with quantized activations, by the type of those. */
  readonly activations: ReadonlyMap<TensorType, number>;
  /** Float operators that multiply weights. */
  readonly floatLayers: readonly string[];
  /** Types of constants that a DEQUANTIZE reads. */
  readonly decoded: ReadonlySet<TensorType>;
}

export function look(model: TfliteModel): Found {
  const counts = { integer: 0, hybrid: 0, float: 0, conversion: 0, other: 0 };
  const custom = new Set<string>();
  const onCpu = new Map<string, number>();
  const activations = new Map<TensorType, number>();
  const floatLayers: string[] = [];
  const decoded = new Set<TensorType>();
  let compiledParts = 0;
  let fakeQuants = 0;
  for (const { operator, subgraph } of allOperators(model)) {
    const graph = model.subgraphs[subgraph];
    if (graph === undefined) continue;
    const name = opName(operator);
    if (operator.op === 'CUSTOM') custom.add(name);
    if (COMPILED.has(name)) {
      compiledParts += 1;
      continue;
    }
    onCpu.set(name, (onCpu.get(name) ?? 0) + 1);
    const kind = numericKind(graph, operator);
    counts[kind] += 1;
    if (operator.op === 'FAKE_QUANT') fakeQuants += 1;
    if (operator.op === 'DEQUANTIZE') {
      const stored = inputTensor(graph, operator, 0);
      if (stored !== undefined && isConstant(stored)) decoded.add(stored.type);
    }
    if (kind === 'integer') {
      const type = activationType(graph, operator);
      activations.set(type, (activations.get(type) ?? 0) + 1);
    }
    if (kind === 'float' && macsOf(graph, operator) > 0) floatLayers.push(name);
  }
  return { counts, custom, onCpu, compiledParts, fakeQuants, activations, floatLayers, decoded };
}

/** Of the first quantized output; of an input where the outputs are something else. */
function activationType(graph: TfliteGraph, { inputs, outputs }: TfliteOperator): TensorType {
  const tensors = [...outputs, ...inputs].flatMap((index) => graph.tensors[index] ?? []);
  return tensors.find((one) => isQuantized(one) && !isConstant(one))?.type ?? 'INT8';
}
