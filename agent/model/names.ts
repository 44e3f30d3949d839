/**
 * Makes names that are not taken yet: the wish itself, else the wish with `_1`, `_2`, ... behind it, or
 * from another number on. What it gives is taken from then on, in the set that it was given as well.
 */
export function uniqueNames(taken: Set<string>, first = 1): (wish: string) => string {
  // Where the search for each wish stopped, so that a thousand equal wishes stay cheap.
  const next = new Map<string, number>();
  return (wish) => {
    let name = wish;
    let number = next.get(wish) ?? first;
    while (taken.has(name)) name = `${wish}_${number++}`;
    next.set(wish, number);
    taken.add(name);
    return name;
  };
}
