import type { Fidelity } from '../contracts/bench.ts';
import type { Feeds, Outputs, Tensor } from '../runtime/types.ts';
import { BenchError } from './errors.ts';
import { argMax, firstSample, toNumbers } from './numbers.ts';

/** What a model gets whose outputs are not even numbers, or all wrong: JSON has no minus infinity. */
export const WORST_SQNR_DB = -200;

/** Compares the outputs of a model with those of its reference, sample by sample. */
export class FidelityMeter {
  readonly #taskOutput: string | undefined;
  #samples = 0;
  #agreements = 0;
  #reference2 = 0;
  #value2 = 0;
  #product = 0;
  #error2 = 0;
  /** Some value is infinite or NaN where the reference has another. */
  #broken = false;

  /** `taskOutput` is the output whose arg max is compared; the first one without it. */
  constructor(taskOutput?: string) {
    this.#taskOutput = taskOutput;
  }

  /**
   * Adds one sample. Outputs are paired by name where the names match, else by position. An output
   * that has another number of values than its reference (fewer boxes were found) cannot be compared
   * value by value: it counts as if it had nothing in common with the reference.
   * @param feeds what went in: tells a batch, of which the arg max is that of the first row
   */
  add(reference: Outputs, outputs: Outputs, feeds: Feeds = {}): void {
    const names = Object.keys(reference);
    const task = names.indexOf(this.#taskOutput ?? '');
    pairOutputs(reference, outputs).forEach(([expected, actual], index) => {
      const alike = expected.length === actual.length;
      if (alike) this.#accumulate(expected, actual);
      else this.#accumulateUnlike(expected, actual);
      if (index !== Math.max(task, 0)) return;
      const tensor = reference[names[index] ?? ''];
      const count = tensor ? firstSample(tensor, expected, feeds) : expected.length;
      if (alike && argMax(expected, 0, count) === argMax(actual, 0, count)) this.#agreements++;
    });
    this.#samples++;
  }

  #accumulate(reference: ArrayLike<number>, values: ArrayLike<number>): void {
    let [reference2, value2, product, error2] = [0, 0, 0, 0];
    for (let i = 0; i < reference.length; i++) {
      const expected = reference[i] ?? 0;
      const actual = values[i] ?? 0;
      if (Number.isFinite(expected) && Number.isFinite(actual)) {
        reference2 += expected * expected;
        value2 += actual * actual;
        product += expected * actual;
        error2 += (expected - actual) ** 2;
      } else if (!Object.is(expected, actual)) {
        this.#broken = true;
      }
    }
    this.#reference2 += reference2;
    this.#value2 += value2;
    this.#product += product;
    this.#error2 += error2;
  }

  /** All of the reference is error; where it is empty, all that the model gave. */
  #accumulateUnlike(reference: ArrayLike<number>, values: ArrayLike<number>): void {
    const [reference2, value2] = [energy(reference), energy(values)];
    this.#reference2 += reference2;
    this.#value2 += value2;
    this.#error2 += reference2 === 0 ? value2 : reference2;
  }

  /**
   * SQNR = 10 log10(sum ref^2 / sum (ref - x)^2) and cosine over all values of all outputs of all
   * samples; top-1 agreement = share of samples with the same arg max of the task output.
   */
  result(): Fidelity {
    return {
      sqnrDb: this.#sqnrDb(),
      cosine: this.#cosine(),
      top1Agreement: this.#samples === 0 ? 0 : this.#agreements / this.#samples,
      samples: this.#samples,
    };
  }

  #sqnrDb(): number | null {
    if (this.#broken) return WORST_SQNR_DB;
    if (this.#error2 === 0) return null;
    return Math.max(WORST_SQNR_DB, 10 * Math.log10(this.#reference2 / this.#error2));
  }

  #cosine(): number {
    if (this.#broken) return 0;
    if (this.#error2 === 0) return 1;
    const length = Math.sqrt(this.#reference2) * Math.sqrt(this.#value2);
    return length === 0 ? 0 : this.#product / length;
  }
}

/** Both sides of every output, in the reference's order; outputs of text are left out as empty. */
function pairOutputs(
  reference: Outputs,
  outputs: Outputs,
): (readonly [ArrayLike<number>, ArrayLike<number>])[] {
  const names = Object.keys(reference);
  const others = names.every((name) => name in outputs) ? names : Object.keys(outputs);
  if (others.length !== names.length) {
    const counts = `the model has ${others.length} outputs, its reference ${names.length}`;
    throw new BenchError('OUTPUT_MISMATCH', `cannot compare with the float model: ${counts}`);
  }
  return names.map((name, index) => {
    return [numbersOf(reference[name]), numbersOf(outputs[others[index] ?? ''])];
  });
}

function numbersOf(tensor: Tensor | undefined): ArrayLike<number> {
  return (tensor && toNumbers(tensor)) ?? [];
}

/** The sum of the squares of what is finite. */
function energy(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (Number.isFinite(value)) sum += value * value;
  }
  return sum;
}
