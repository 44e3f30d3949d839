import { QuantizeError } from './errors.ts';
import type { BiasSite } from './onnx/bias-sites.ts';

/** What became of every operation of a model. */
export interface OpReport {
  readonly node: string;
  readonly op: string;
  readonly precision: 'integer' | 'fp16' | 'float';
  /** Why it stayed float; absent otherwise. */
  readonly reason?: string;
}

/** A quantized model and the account of it. */
export interface Quantized<M> {
  readonly model: M;
  readonly ops: readonly OpReport[];
  /** Where biases can be corrected by measurement. */
  readonly biases?: readonly BiasSite[];
}

/** Counts for the contract `edgefit/quantize/1`. */
export function countOps(ops: readonly OpReport[]): {
  integer: number;
  fp16: number;
  float: number;
} {
  const counts = { integer: 0, fp16: 0, float: 0 };
  for (const { precision } of ops) counts[precision]++;
  return counts;
}

/** @throws QuantizeError that lists every operation that would stay in float */
export function refuseFloat(ops: readonly OpReport[]): void {
  const float = ops.filter(({ precision }) => precision === 'float');
  if (float.length === 0) return;
  const list = float.map(({ node, op, reason }) => `${op} '${node}' (${reason ?? 'float'})`);
  const message = `${float.length} of ${ops.length} operations cannot run in integers: ${list.join(', ')}`;
  throw new QuantizeError('NOT_INTEGER', message);
}
