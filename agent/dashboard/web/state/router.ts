import { createStore } from './store.ts';

/** Where the page is: `#/devices/pi-7?tab=jobs`. A fragment needs nothing of the server. */
export interface Place {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

/** A malformed escape is a link that somebody mistyped: it is kept as it stands. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export function parsePlace(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  return {
    path: path.split('/').filter(Boolean).map(decode),
    query: new URLSearchParams(query),
  };
}

/** The address of a page: `['devices', 'pi-7']` -> `#/devices/pi-7`. Empty values are left out. */
export function linkTo(
  path: readonly string[],
  query: Readonly<Record<string, string | null | undefined>> = {},
): string {
  const kept = Object.entries(query).filter(
    (entry): entry is [string, string] => (entry[1] ?? '') !== '',
  );
  const text = new URLSearchParams(kept).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

export const place = createStore(parsePlace(globalThis.location?.hash ?? ''));

export function followAddress(): void {
  addEventListener('hashchange', () => place.set(parsePlace(location.hash)));
}

export function goTo(link: string): void {
  location.hash = link;
}

/** Changes the address without a new entry in the history: what is typed into a filter. */
export function replaceLink(link: string): void {
  history.replaceState(null, '', link);
  place.set(parsePlace(link));
}
