import { ALIGNMENT } from './limits.ts';
import { elementBits, isConstant, storedBytes } from './tensor.ts';
import type { TfliteGraph, TfliteModel, TfliteTensor } from './types.ts';

/** A piece of memory that is needed from one step to another, both included. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Where each piece goes when memory is shared over time, and what is needed in all: the largest first,
 * each into the first gap between those that live at the same time. TensorFlow Lite Micro's
 * GreedyMemoryPlanner does the same (tensorflow/lite/micro/memory_planner).
 */
export function planMemory(pieces: readonly Lifetime[]): {
  readonly offsets: readonly number[];
  readonly bytes: number;
} {
  const offsets = pieces.map(() => 0);
  const order = [...pieces.keys()].toSorted(
    (a, b) => sizeOf(pieces[b]) - sizeOf(pieces[a]) || a - b,
  );
  const placed: { readonly from: number; readonly to: number; readonly piece: Lifetime }[] = [];
  for (const index of order) {
    const piece = pieces[index];
    if (piece === undefined) continue;
    const size = sizeOf(piece);
    let from = 0;
    for (const other of placed) {
      if (other.piece.first > piece.last || other.piece.last < piece.first) continue;
      if (other.from >= from + size) break;
      from = Math.max(from, other.to);
    }
    offsets[index] = from;
    placed.push({ from, to: from + size, piece });
    placed.sort((a, b) => a.from - b.from);
  }
  return { offsets, bytes: placed.reduce((end, { to }) => Math.max(end, to), 0) };
}

const sizeOf = (piece: Lifetime | undefined) =>
  Math.ceil((piece?.bytes ?? 0) / ALIGNMENT) * ALIGNMENT;

/**
 * Bytes for activations and variables on a microcontroller: an estimate, without what kernels need
 * besides and what the interpreter keeps about tensors. Null where a size is not known, or tensors
 * are of a type without one.
 */
export function arenaBytes(model: TfliteModel): number | null {
  const all = model.subgraphs.map(graphPieces);
  if (all.some((one) => one === null)) return null;
  // A called graph runs inside its caller, so their memory adds up.
  return all.reduce((sum, one) => sum + (one === null ? 0 : planMemory(one).bytes), 0);
}

function graphPieces(graph: TfliteGraph): readonly Lifetime[] | null {
  const end = graph.operators.length;
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  for (const index of graph.inputs) first.set(index, 0);
  graph.operators.forEach(({ inputs, outputs }, step) => {
    for (const index of [...inputs, ...outputs]) {
      if (index < 0) continue;
      if (!first.has(index)) first.set(index, step);
      last.set(index, step);
    }
  });
  for (const index of graph.outputs) last.set(index, end);
  const pieces: Lifetime[] = [];
  for (const [index, tensor] of graph.tensors.entries()) {
    const from = first.get(index);
    if (from === undefined || isConstant(tensor) || tensor.type === 'RESOURCE') continue;
    const bytes = bytesOf(tensor);
    if (bytes === null) return null;
    const whole = tensor.isVariable;
    pieces.push({ bytes, first: whole ? 0 : from, last: whole ? end : (last.get(index) ?? from) });
  }
  return pieces;
}

function bytesOf(tensor: TfliteTensor): number | null {
  const isOpen = tensor.shape.some((size) => size < 0);
  return isOpen || elementBits(tensor.type) === undefined ? null : storedBytes(tensor);
}
