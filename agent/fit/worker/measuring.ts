import type { Round, RoundLimits } from '../../bench/latency.ts';
import type { Warmup } from '../../bench/warmup.ts';
import { openFile, runtimeOf } from '../../runtime/open-file.ts';
import type { Feeds, Session } from '../../runtime/types.ts';
import { PRODUCTION, delegated } from './sessions.ts';
import type { Delegated } from './sessions.ts';

/** The model under measurement; one child measures one candidate. */
let measured: { readonly session: Session; readonly feeds: Feeds } | undefined;

export const measuringHandlers = {
  /** Loads the model to be measured; returns how long that took, and what is to be known of it. */
  open: async (
    request: Delegated & { path: string; threads: number; feeds: Feeds },
  ): Promise<{ loadMs: number; notes: readonly string[] }> => {
    await (await runtimeOf(request.path)).version();
    const start = performance.now();
    const session = await openFile(request.path, {
      ...PRODUCTION,
      threads: request.threads,
      ...delegated(request.delegate),
    });
    const loadMs = performance.now() - start;
    measured = { session, feeds: request.feeds };
    return { loadMs, notes: session.describe().notes ?? [] };
  },

  warmUp: async (): Promise<Warmup> => {
    const { warmUp } = await import('../../bench/warmup.ts');
    const { session, feeds } = current();
    return warmUp(session, feeds);
  },

  round: async ({ limits }: { limits: RoundLimits }): Promise<Round> => {
    const { measureRound } = await import('../../bench/latency.ts');
    const { session, feeds } = current();
    return measureRound(session, feeds, limits);
  },
};

function current() {
  if (measured === undefined) throw new Error('no model is open');
  return measured;
}
