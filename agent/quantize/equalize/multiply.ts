import { positions } from './layout.ts';
import type { Slot, Step } from './trace.ts';

/** Multiplies a constant by the factors of its channels (power 1), or divides it by them, in place. */
export function multiply(
  values: Float64Array,
  dims: readonly number[],
  { layout, power }: Pick<Slot<Step>, 'layout' | 'power'>,
  factorOf: (id: number) => number,
): void {
  const factors = Float64Array.from(layout.ids, (id) => factorOf(id) ** power);
  positions(layout.dims, dims).forEach((at, i) => {
    values[i] = (values[i] ?? 0) * (factors[at] ?? 1);
  });
}
