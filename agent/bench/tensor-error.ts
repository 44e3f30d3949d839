import type { Tensor } from '../runtime/types.ts';
import { WORST_SQNR_DB } from './fidelity.ts';
import { toNumbers } from './numbers.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** How far a tensor is from its reference, all samples together. */
export interface TensorError {
  /** Sum of the squares of the reference, and of the differences. */
  readonly reference2: number;
  readonly error2: number;
  readonly maxAbsError: number;
  /** Of what is finite; null where nothing is. */
  readonly referenceRange: Range | null;
  readonly range: Range | null;
  readonly values: number;
  /** Some value is infinite or NaN where the reference has another. */
  readonly broken: boolean;
}

/** Adds up the error of one tensor over samples in constant memory. */
export class TensorErrorMeter {
  #reference2 = 0;
  #error2 = 0;
  #max = 0;
  #values = 0;
  #broken = false;
  readonly #referenceRange = new RangeMeter();
  readonly #range = new RangeMeter();

  /** Returns false, and counts nothing, when the two cannot be compared value by value. */
  add(reference: Tensor, actual: Tensor): boolean {
    const [expected, values] = [toNumbers(reference), toNumbers(actual)];
    if (expected === undefined || expected.length !== values?.length) return false;
    let [reference2, error2] = [0, 0];
    for (let i = 0; i < expected.length; i++) {
      const [wanted, given] = [expected[i] ?? 0, values[i] ?? 0];
      this.#referenceRange.add(wanted);
      this.#range.add(given);
      if (Number.isFinite(wanted) && Number.isFinite(given)) {
        const difference = Math.abs(wanted - given);
        reference2 += wanted * wanted;
        error2 += difference * difference;
        if (difference > this.#max) this.#max = difference;
      } else if (!Object.is(wanted, given)) {
        this.#broken = true;
      }
    }
    this.#reference2 += reference2;
    this.#error2 += error2;
    this.#values += expected.length;
    return true;
  }

  result(): TensorError {
    return {
      reference2: this.#reference2,
      error2: this.#error2,
      maxAbsError: this.#max,
      referenceRange: this.#referenceRange.result(),
      range: this.#range.result(),
      values: this.#values,
      broken: this.#broken,
    };
  }
}

class RangeMeter {
  #min = Infinity;
  #max = -Infinity;

  add(value: number): void {
    if (!Number.isFinite(value)) return;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  result(): Range | null {
    return this.#min > this.#max ? null : { min: this.#min, max: this.#max };
  }
}

type Energies = Pick<TensorError, 'reference2' | 'error2' | 'broken'>;

/** 10 log10(sum ref^2 / sum (ref - x)^2) in dB, not under WORST_SQNR_DB; null when identical. */
export function sqnrDbOf({ reference2, error2, broken }: Energies): number | null {
  if (broken) return WORST_SQNR_DB;
  if (error2 === 0) return null;
  return Math.max(WORST_SQNR_DB, 10 * Math.log10(reference2 / error2));
}

/** Several tensors as one. */
export function sumOf(errors: readonly Energies[]): Energies {
  return {
    reference2: errors.reduce((sum, { reference2 }) => sum + reference2, 0),
    error2: errors.reduce((sum, { error2 }) => sum + error2, 0),
    broken: errors.some(({ broken }) => broken),
  };
}
