/** Asks at most every `everyMs`, or whenever a `fresh` answer is wanted, and gives the last one in between. */
export function slowly<T>(
  ask: () => Promise<T>,
  everyMs: number,
  now: () => number = () => performance.now(),
): (fresh?: boolean) => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return (fresh = false) => {
    if (fresh || last === undefined || now() - last.at >= everyMs)
      last = { at: now(), answer: ask() };
    return last.answer;
  };
}
