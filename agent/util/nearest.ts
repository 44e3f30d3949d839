/** Edits (insert, delete, replace, swap of neighbours) from one word to the other. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const cell = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          cell(i - 1, j) + 1,
          cell(i, j - 1) + 1,
          cell(i - 1, j - 1) + same,
          swapped ? cell(i - 2, j - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return cell(a.length, b.length);
}

/** Longer words are not typing errors, and the table above grows with their square. */
const MAX_LENGTH = 64;

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[_-]/g, '');
}

/** The known word that was probably meant: the closest within a third of its length, or null. */
export function nearestWord(word: string, known: readonly string[]): string | null {
  if (word.length > MAX_LENGTH) return null;
  const rated = known
    .map((one) => ({ one, edits: distance(plain(word), plain(one)) }))
    .filter(({ one, edits }) => edits <= Math.max(1, Math.floor(one.length / 3)))
    .toSorted((a, b) => a.edits - b.edits);
  return rated[0]?.one ?? null;
}
