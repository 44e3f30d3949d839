/** Powers of noise of so many sources, looked at singly where it pays. */
export interface NoiseSearch {
  readonly count: number;
  /** The noise with these sources on and all others off. */
  readonly measure: (on: readonly number[]) => Promise<number>;
  /** Whether the time is used up: no group is split any more. */
  readonly isOver: () => boolean;
  /** Whether there is time for every source by itself. */
  readonly all: boolean;
}

interface Group {
  readonly from: number;
  readonly to: number;
  readonly noise: number;
}

/**
 * The noise of every source. Where there is no time for all of them, groups of neighbours are
 * measured and the noisiest is split, again and again; what was never split is shared out equally.
 */
export async function noiseBySource(search: NoiseSearch): Promise<Float64Array> {
  const found = new Float64Array(search.count);
  const groups = search.all ? singles(search.count) : [{ from: 0, to: search.count }];
  const done: Group[] = [];
  // oxlint-disable-next-line no-await-in-loop -- every run takes the whole machine
  for (const group of groups) done.push(await measured(search, group));
  while (!search.isOver()) {
    const splittable = done.filter(({ from, to }) => to - from > 1);
    const loudest = splittable.reduce<Group | undefined>(
      (worst, one) => (worst === undefined || one.noise > worst.noise ? one : worst),
      undefined,
    );
    if (loudest === undefined) break;
    const middle = Math.ceil((loudest.from + loudest.to) / 2);
    const halves = [
      // oxlint-disable-next-line no-await-in-loop -- the next group depends on these
      await measured(search, { from: loudest.from, to: middle }),
      // oxlint-disable-next-line no-await-in-loop -- as above
      await measured(search, { from: middle, to: loudest.to }),
    ];
    done.splice(done.indexOf(loudest), 1, ...halves);
  }
  for (const { from, to, noise } of done) found.fill(noise / (to - from), from, to);
  return found;
}

const singles = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ from: index, to: index + 1 }));

async function measured(
  search: NoiseSearch,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Group> {
  const on = Array.from({ length: to - from }, (_, index) => from + index);
  return { from, to, noise: await search.measure(on) };
}
