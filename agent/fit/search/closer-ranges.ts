import type { Scheme } from '../../contracts/scheme.ts';
import type { Scorer } from './scorer.ts';
import type { QuantizeRequest } from '../types.ts';

/** Further from float than this there is something to gain that is worth a second version. */
const GOOD_DB = 30;
/** By how much closer ranges must win: a few samples are off by 3 dB. */
const CLEAR_DB = 4;

/** What a version must say for itself here. */
export interface Version {
  readonly scheme: Scheme;
  /** Null when its outputs are those of the float model. */
  readonly sqnrDb: number | null;
}

/** Whether the way to take ranges is left to the program, and nothing else relies on it. */
export function mayChooseRanges(
  scheme: Scheme,
  { scheme: asked, observer, ranges, saveRanges }: Partial<QuantizeRequest>,
): boolean {
  const named = observer !== undefined || typeof asked !== 'string';
  const elsewhere = (ranges ?? []).length > 0 || saveRanges !== undefined;
  return !named && !elsewhere && scheme.observer === 'min-max';
}

/**
 * A version with ranges from the averages of extremes, which calibration knows anyway, in place of
 * the extremes themselves, where that does clearly better on the samples: one strange sample then
 * does not take the steps from all others.
 */
export async function closerRanges(
  plain: Version,
  scorer: Pick<Scorer, 'score' | 'signal'>,
): Promise<Version> {
  const { scheme, sqnrDb } = plain;
  if (sqnrDb === null || sqnrDb >= GOOD_DB) return plain;
  try {
    const closer = await scorer.score({ ...scheme, observer: 'moving-average' });
    const isClear = closer.sqnrDb !== null && closer.sqnrDb >= sqnrDb + CLEAR_DB;
    return isClear ? closer : plain;
  } catch {
    // The plain version was made and runs; what goes wrong with another is no reason to end.
    scorer.signal.throwIfAborted();
    return plain;
  }
}
