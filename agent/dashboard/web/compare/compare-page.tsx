import { useEffect, useRef, useState } from 'preact/hooks';
import type { BenchLine, Compare } from '../../../contracts/dashboard.ts';
import { compare, comparePath, getBenches, type BenchPage } from '../api/client.ts';
import { messageOf } from '../../../util/errors.ts';
import { goTo, linkTo } from '../state/router.ts';
import { Empty } from '../ui/empty.tsx';
import { formatTime, toMs } from '../ui/format.ts';
import { notify } from '../ui/notices.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { ComparedTable } from './compared-table.tsx';
import { conditionsOf } from './conditions.ts';

const idOf = (bench: BenchLine) => `${bench.deviceId}/${bench.benchId}`;

function nameOf(bench: BenchLine): string {
  const time = formatTime(toMs(bench.ts)).slice(0, 16);
  return `${bench.deviceId}: ${bench.model.name}, ${bench.chosen?.precision ?? 'none chosen'}, ${time}`;
}

const wordsOf = (filter: string) => filter.toLowerCase().split(/\s+/).filter(Boolean);

function hasWords(bench: BenchLine, words: readonly string[]): boolean {
  const name = nameOf(bench).toLowerCase();
  return words.every((word) => name.includes(word));
}

/** More than these nobody wants to look through. */
const MANY = 20;

interface PickProps {
  readonly label: string;
  readonly value: string;
  readonly benches: readonly BenchLine[];
  /** All of them are in what is offered. */
  readonly words: readonly string[];
  readonly onPick: (id: string) => void;
}

function Pick({ label, value, benches, words, onPick }: PickProps) {
  const known = benches.some((bench) => idOf(bench) === value);
  const shown = benches.filter((bench) => idOf(bench) === value || hasWords(bench, words));
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      <select value={value} onChange={(event) => onPick(event.currentTarget.value)}>
        <option value="">Pick a report</option>
        {value !== '' && !known && <option value={value}>{value}</option>}
        {shown.map((bench) => (
          <option key={idOf(bench)} value={idOf(bench)}>
            {nameOf(bench)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What the figures depend on, where the two differ. */
function Conditions({ compared }: { readonly compared: Compare }) {
  return (
    <div class="table-scroll card" tabIndex={0} role="group" aria-label="The two reports">
      <table class="data conditions">
        <thead>
          <tr>
            <td />
            <th scope="col">left</th>
            <th scope="col">right</th>
          </tr>
        </thead>
        <tbody>
          {conditionsOf(compared.left, compared.right).map(({ name, left, right }) => (
            <tr key={name} class={left === right ? '' : 'differs'}>
              <th scope="row">{name}</th>
              <td>{left}</td>
              <td>{right}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Compared({ left, right }: { readonly left: string; readonly right: string }) {
  const { value, problem } = useLoaded(`${left} ${right}`, (signal) =>
    compare(left, right, signal),
  );
  if (problem !== null) return <p class="problem">{problem}</p>;
  if (value === null) return <p class="loading">Loading</p>;
  return (
    <>
      <div class="form-buttons">
        <a class="button" href={`api/${comparePath(left, right, 'csv')}`} download="compare.csv">
          Export CSV
        </a>
        <a class="button" href={`api/${comparePath(left, right, 'json')}`} download="compare.json">
          Export JSON
        </a>
      </div>
      <Conditions compared={value} />
      <ComparedTable rows={value.rows} />
    </>
  );
}

/** All reports, newest first, a page after the other. */
function useReports() {
  const { value, problem } = useLoaded('benches', (signal) => getBenches(null, signal));
  const [older, setOlder] = useState<BenchPage | null>(null);
  // The newest have been read again: the pages after them begin elsewhere.
  useEffect(() => setOlder(null), [value]);
  const next = older === null ? (value?.next ?? null) : older.next;
  // Asked for twice, or when the list had begun anew, an answer is not what comes next.
  const awaited = useRef(next);
  awaited.current = next;
  const loadOlder = () =>
    getBenches(next).then(
      (page) => {
        if (awaited.current !== next) return;
        awaited.current = page.next;
        setOlder({ ...page, benches: [...(older?.benches ?? []), ...page.benches] });
      },
      (error: unknown) => notify('problem', messageOf(error)),
    );
  return {
    benches: [...(value?.benches ?? []), ...(older?.benches ?? [])],
    isLoaded: value !== null,
    problem,
    loadOlder: next === null ? null : loadOlder,
  };
}

/** Any two benchmark reports side by side: two devices, or one before and after. */
export function ComparePage({ query }: { readonly query: URLSearchParams }) {
  const left = query.get('left') ?? '';
  const right = query.get('right') ?? '';
  const { benches, isLoaded, problem, loadOlder } = useReports();
  const [filter, setFilter] = useState('');
  const words = wordsOf(filter);
  const pick = (picked: { left?: string; right?: string }) =>
    goTo(linkTo(['compare'], { left, right, ...picked }));
  return (
    <div class="page">
      <h1>Compare benchmarks</h1>
      {problem !== null && <p class="problem">{problem}</p>}
      <div class="picks card">
        {benches.length > MANY && (
          <label class="field picks-filter">
            <span class="field-label">Filter</span>
            <input
              type="search"
              value={filter}
              placeholder={`${benches.length} reports: device, model, int8, day`}
              spellcheck={false}
              onInput={(event) => setFilter(event.currentTarget.value)}
            />
          </label>
        )}
        <Pick
          label="Left"
          value={left}
          benches={benches}
          words={words}
          onPick={(id) => pick({ left: id })}
        />
        <button
          type="button"
          class="button"
          disabled={left === '' && right === ''}
          onClick={() => pick({ left: right, right: left })}
        >
          Swap
        </button>
        <Pick
          label="Right"
          value={right}
          benches={benches}
          words={words}
          onPick={(id) => pick({ right: id })}
        />
        {loadOlder !== null && (
          <button type="button" class="button picks-older" onClick={() => void loadOlder()}>
            Add older reports to the lists
          </button>
        )}
      </div>
      {left !== '' && right !== '' ? (
        <Compared left={left} right={right} />
      ) : (
        <Empty
          title={isLoaded && benches.length === 0 ? 'No report has come yet' : 'Pick two reports'}
        >
          Two devices, or one device before and after a new version.
        </Empty>
      )}
    </div>
  );
}
