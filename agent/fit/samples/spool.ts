import { openReference } from '../../bench/reference.ts';
import type { Sample, SampleSource } from '../../calibration/samples/types.ts';

/** Samples that were kept in a file, feeds only. */
export interface Spool {
  readonly spool: string;
  readonly count: number;
  /** Where they came from. */
  readonly what: string;
}

/** Reads kept samples, from index `from` to before `to`, any number of times. */
export function spooledSource(
  { spool, count, what }: Spool,
  range: { readonly from?: number | undefined; readonly to?: number | undefined },
): SampleSource {
  const [from, to] = [range.from ?? 0, range.to ?? count];
  return {
    count: to - from,
    labelled: false,
    describe: to - from === count ? `${count} ${what}` : `${from} to ${to} of ${count} ${what}`,
    warnings: [],
    [Symbol.asyncIterator]: () => samples(spool, from, to, what),
  };
}

async function* samples(
  path: string,
  from: number,
  to: number,
  what: string,
): AsyncGenerator<Sample, undefined> {
  let index = 0;
  for await (const feeds of openReference(path)) {
    if (index >= from) yield { feeds, name: `${what}, sample ${index}` };
    if (++index === to) return undefined;
  }
  return undefined;
}
