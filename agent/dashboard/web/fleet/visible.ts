/** Rows that are drawn beyond the edge, so that a quick scroll does not show a gap. */
const BEYOND = 8;

export interface Slice {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
}

/** Which of `count` rows of one height can be seen. Lengths in pixels. */
export function visibleRows(
  count: number,
  rowHeight: number,
  view: { readonly top: number; readonly height: number },
): Slice {
  const first = Math.floor(view.top / rowHeight) - BEYOND;
  const end = Math.ceil((view.top + view.height) / rowHeight) + BEYOND;
  return {
    first: Math.min(Math.max(0, first), Math.max(0, count - 1)),
    end: Math.min(count, Math.max(0, end)),
  };
}

/** Where a key takes the marked row, or null for a key that does not move it. */
export function moveMark(key: string, at: number, count: number, page: number): number | null {
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  const to = Object.hasOwn(moves, key) ? moves[key] : undefined;
  if (to === undefined || count === 0) return null;
  return Math.min(count - 1, Math.max(0, to));
}
