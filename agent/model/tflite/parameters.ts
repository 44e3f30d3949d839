import { indexGraph } from './graph.ts';
import type { GraphIndex } from './graph.ts';
import { elementBits, elementCount, isConstant } from './tensor.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './types.ts';

/** A constant, counted once however many tensors share its bytes. */
export interface Parameter {
  readonly tensor: TfliteTensor;
  readonly count: number;
  readonly bytes: number;
  /** The first operator that computes with it; undefined where nobody reads it. */
  readonly reader: TfliteOperator | undefined;
}

export function* parametersOf(model: TfliteModel): Generator<Parameter> {
  const seen = new Set<Uint8Array>();
  for (const graph of model.subgraphs) {
    const index = indexGraph(graph);
    for (const [at, tensor] of graph.tensors.entries()) {
      const { data } = tensor;
      if (!isConstant(tensor) || (data !== null && seen.has(data))) continue;
      if (data !== null) seen.add(data);
      const count = Math.max(elementCount(tensor.shape), 0);
      const stored = Math.ceil((count * (elementBits(tensor.type) ?? 0)) / 8);
      yield { tensor, count, bytes: data?.length ?? stored, reader: readerOf(at, index) };
    }
  }
}

/** What only prepares a constant for the operator that computes with it. */
const PREPARING: readonly string[] = ['DEQUANTIZE', 'QUANTIZE', 'DENSIFY', 'CAST', 'TRANSPOSE'];

function readerOf(tensor: number, index: GraphIndex): TfliteOperator | undefined {
  let reader = index.consumers.get(tensor)?.[0];
  // Operators stand in their order of execution, so this ends.
  while (reader !== undefined && PREPARING.includes(reader.op)) {
    const next = index.consumers.get(reader.outputs[0] ?? -1)?.[0];
    if (next === undefined) break;
    reader = next;
  }
  return reader;
}
