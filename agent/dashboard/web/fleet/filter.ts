import type { DeviceRow } from '../../../contracts/dashboard.ts';
import { isAway } from '../state/presence.ts';
import { always, parseLogic, tokensOf } from './filter-parser.ts';

/**
 * What is typed into the filter: words that must occur somewhere in a line, and the conditions of a
 * rollout's selector, `class=rpi-5 and (tag=site-a or not state=online)`, with `<` and `>` for figures.
 */
export type RowTest = (row: DeviceRow) => boolean;

type Fields = Readonly<Record<string, (row: DeviceRow) => readonly (string | number | null)[]>>;

const FIELDS: Fields = {
  id: (row) => [row.deviceId],
  device: (row) => [row.deviceId],
  state: (row) => [row.state],
  class: (row) => [row.class],
  board: (row) => [row.board],
  tag: (row) => row.tags,
  agent: (row) => [row.agent],
  model: (row) => [row.model?.name ?? null],
  version: (row) => [row.model?.version ?? null],
  precision: (row) => [row.model?.precision ?? null],
  p90: (row) => [row.p90Ms],
  accuracy: (row) => [row.accuracy?.value ?? null],
  temp: (row) => [row.celsius],
  celsius: (row) => [row.celsius],
  throttled: (row) => [row.throttled === null || isAway(row) ? null : row.throttled ? 'yes' : 'no'],
  job: (row) => [row.job?.status.toLowerCase() ?? null, row.job?.phase ?? null],
};

/** Names for the help beside the filter. */
export const filterFields = [
  'id',
  'state',
  'class',
  'board',
  'tag',
  'model',
  'version',
  'precision',
  'p90',
  'accuracy',
  'temp',
  'throttled',
  'job',
  'agent',
] as const;

const CONDITION = /^([a-zA-Z0-9]+)\s*(!=|<=|>=|=|<|>)\s*("[^"]*"?|\S*)$/;
const ONE_OF = /^([a-zA-Z0-9]+)\s+in\s*\(([^)]*)\)?$/i;

/** `*` stands for anything. */
function isLike(value: string, pattern: string): boolean {
  if (!pattern.includes('*')) return value.toLowerCase() === pattern;
  const text = value.toLowerCase();
  const parts = pattern.split('*');
  let at = 0;
  for (const [index, piece] of parts.entries()) {
    const found = text.indexOf(piece, at);
    if (found === -1 || (index === 0 && found !== 0)) return false;
    at = found + piece.length;
  }
  const last = parts.at(-1) ?? '';
  return last === '' || text.endsWith(last);
}

function compareWith(value: string | number | null, sign: string, wanted: string): boolean {
  if (sign === '=' || sign === '!=') return isLike(String(value ?? 'none'), wanted);
  const number = typeof value === 'number' ? value : Number.NaN;
  const limit = Number(wanted);
  if (sign === '<') return number < limit;
  if (sign === '<=') return number <= limit;
  return sign === '>' ? number > limit : number >= limit;
}

const unquoted = (text: string) => text.replaceAll('"', '').trim().toLowerCase();

function fieldOf(name: string) {
  const key = name.toLowerCase();
  return Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
}

/** The test of `key=value` or `key in (a, b)`; null for what is no condition on a known field. */
function conditionOf(term: string): RowTest | null {
  const [, listName = '', list = ''] = ONE_OF.exec(term) ?? [];
  const [, name = listName, sign = '=', value = ''] = CONDITION.exec(term) ?? [];
  const read = fieldOf(name);
  if (read === undefined) return null;
  const wanted = (listName === '' ? [value] : list.split(',')).map(unquoted).filter(Boolean);
  // Somebody is about to say which value, or which figure.
  if (wanted.length === 0) return always;
  if (/[<>]/.test(sign) && Number.isNaN(Number(wanted[0]))) return always;
  const holds = (row: DeviceRow, as: string) => {
    const values = read(row);
    return (values.length === 0 ? [null] : values).some((each) =>
      wanted.some((one) => compareWith(each, as, one)),
    );
  };
  return sign === '!=' ? (row) => !holds(row, '=') : (row) => holds(row, sign);
}

function wordOf(term: string): RowTest {
  const word = unquoted(term);
  return (row) => textOf(row).includes(word);
}

/** Made once for each row: rows are replaced, never changed. */
const texts = new WeakMap<DeviceRow, string>();

function textOf(row: DeviceRow): string {
  const known = texts.get(row);
  if (known !== undefined) return known;
  const { deviceId, state, board, tags, agent, model } = row;
  const words: readonly (string | null | undefined)[] = [
    deviceId,
    state,
    row.class,
    board,
    agent,
    model?.name,
    model?.version,
    model?.precision,
    ...tags,
  ];
  const text = words.join('\n').toLowerCase();
  texts.set(row, text);
  return text;
}

/** The test for a filter text; an empty one lets everything pass. */
export function parseFilter(text: string): RowTest {
  return parseLogic(text, (term) => conditionOf(term) ?? wordOf(term));
}

/** A word at the end, which may become `class=` or `class in (`. */
const LAST_WORD = /(?:^|[\s(])([a-zA-Z0-9]+)(?:\s+in)?$/i;
const WITH_VALUE = /^[a-zA-Z0-9]+(?:\s*!?=|\s+in\s*\()/i;

/** A filter text as somebody may be about to end it; null where nothing is half typed. */
function aboutToBe(text: string): string | null {
  const word = LAST_WORD.exec(text);
  const begun = word?.[1]?.toLowerCase();
  if (word !== null && begun !== undefined && filterFields.some((name) => name.startsWith(begun))) {
    return text.slice(0, word.index);
  }
  const last = tokensOf(text).at(-1) ?? '';
  const isOpen = WITH_VALUE.test(last) && !/[\s)"]$/.test(text) && conditionOf(last) !== null;
  return isOpen ? `${text}*` : null;
}

/**
 * The rows that fit. While somebody is `typing`, what would empty the table is taken for the beginning of
 * a field or a value: `cla`, `class=rpi`.
 */
export function filterRows(
  rows: readonly DeviceRow[],
  text: string,
  typing: boolean,
): readonly DeviceRow[] {
  const found = rows.filter(parseFilter(text));
  const later = typing && found.length === 0 ? aboutToBe(text) : null;
  return later === null ? found : rows.filter(parseFilter(later));
}

/** Adds a condition to a filter text, or takes it away when it is there. */
export function toggleTerm(text: string, term: string): string {
  const terms = tokensOf(text);
  const kept = terms.filter((each) => each !== term);
  return (kept.length < terms.length ? kept : [...terms, term]).join(' ');
}

export function hasTerm(text: string, term: string): boolean {
  return tokensOf(text).includes(term);
}
