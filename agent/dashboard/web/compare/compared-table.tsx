import { differenceOf, figures, type Figure } from './difference.ts';
import { chosenRow, pairRows, type ComparedRow as Row } from './pairs.ts';

const MARKS = { better: '▲', worse: '▼', same: '', none: '' } as const;
const WORDS = { better: 'better', worse: 'worse', same: 'no change', none: '' } as const;

function Cell({ figure, row }: { readonly figure: Figure; readonly row: Row }) {
  const left = row.left?.[figure.key] ?? null;
  const right = row.right?.[figure.key] ?? null;
  const { text, verdict } = differenceOf(figure, left, right);
  return (
    <td class="numeric compared">
      <span class="sides">
        <span>{figure.format(left)}</span>
        <span class="muted" aria-hidden="true">
          {' → '}
        </span>
        <span>{figure.format(right)}</span>
      </span>
      <span class={`difference ${verdict}`}>
        <span aria-hidden="true">{MARKS[verdict]}</span> {text}{' '}
        <span class="hidden">{WORDS[verdict]}</span>
      </span>
    </td>
  );
}

function verdictOf(row: Row): string {
  if (row.left === null) return 'only right';
  if (row.right === null) return 'only left';
  if (row.left.verdict === row.right.verdict) return row.left.verdict;
  return `${row.left.verdict} → ${row.right.verdict}`;
}

function Line({ row, note }: { readonly row: Row; readonly note: string }) {
  const isChosen = row.left?.verdict === 'chosen' || row.right?.verdict === 'chosen';
  return (
    <tr class={isChosen ? 'chosen' : ''}>
      <th scope="row">
        <span class="mono">{row.candidate}</span>
        <span class="reason">{note}</span>
      </th>
      {figures.map((figure) => (
        <Cell key={figure.key} figure={figure} row={row} />
      ))}
    </tr>
  );
}

/** Every candidate of the two reports: left, right, and how right is against left. */
export function ComparedTable({ rows }: { readonly rows: readonly Row[] }) {
  const chosen = chosenRow(rows);
  return (
    <div class="table-scroll card" tabIndex={0} role="group" aria-label="Candidates">
      <table class="data compare-table">
        <caption class="hidden">Candidates, left against right</caption>
        <thead>
          <tr>
            <th scope="col">candidate</th>
            {figures.map(({ key, name }) => (
              <th key={key} scope="col" class="numeric">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {chosen !== null && <Line row={chosen} note="what each has chosen" />}
          {pairRows(rows).map((row) => (
            <Line key={row.candidate} row={row} note={verdictOf(row)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}
