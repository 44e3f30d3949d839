import { useEffect, useState } from 'preact/hooks';
import { recoveries } from '../api/events.ts';
import { useStore } from '../state/store.ts';
import { messageOf } from '../../../util/errors.ts';

export interface Loaded<T> {
  readonly value: T | null;
  readonly problem: string | null;
}

/**
 * Loads something when a page opens, when its key changes and when the server was away; what came first
 * stays shown while it is loaded again.
 */
export function useLoaded<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const recovered = useStore(recoveries);
  const [state, setState] = useState<{
    key: string;
    value: T | null;
    problem: string | null;
  }>({ key, value: null, problem: null });
  useEffect(() => {
    const stop = new AbortController();
    load(stop.signal).then(
      (value) => setState({ key, value, problem: null }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        setState((before) => ({
          key,
          value: before.key === key ? before.value : null,
          problem: messageOf(error),
        }));
      },
    );
    return () => stop.abort();
    // `load` is made anew with every drawing; `key` says when it loads something else.
  }, [key, recovered]);
  const current = state.key === key;
  return { value: current ? state.value : null, problem: current ? state.problem : null };
}
