import { useCallback, useEffect, useState } from 'preact/hooks';
import { messageOf } from '../../../util/errors.ts';

export interface Loaded<T> {
  readonly value: T | null;
  readonly problem: string | null;
  readonly reload: () => void;
}

/**
 * Loads something when a page opens and again when its key changes; what came first stays shown while
 * it is loaded again. `key` null: nothing is loaded.
 */
export function useLoaded<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<T>,
): Loaded<T> {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{
    key: string | null;
    value: T | null;
    problem: string | null;
  }>({ key, value: null, problem: null });
  useEffect(() => {
    if (key === null) return undefined;
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
  }, [key, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  const current = state.key === key;
  return { value: current ? state.value : null, problem: current ? state.problem : null, reload };
}
