import type { Scheme } from '../../contracts/scheme.ts';
import { effortOf } from '../calibrate/equalize.ts';
import { isQuantized } from '../make/already-quantized.ts';
import { messageOf } from '../../util/errors.ts';
import { closerRanges, mayChooseRanges } from './closer-ranges.ts';
import type { Version } from './closer-ranges.ts';
import type { VersionMaker } from './version-maker.ts';
import { mixToReach } from './mixed.ts';
import type { Mixed } from './mixed.ts';
import { Scorer } from './scorer.ts';
import type { Scratch } from '../scratch.ts';
import type { Subject } from '../subject.ts';
import type { Hooks, QuantizeRequest } from '../types.ts';

/** Samples that a static version is checked on: a quick look for collapse, not a judgement. */
const CHECK_SAMPLES = 8;
const MIN_SQNR_DB = 20;
/** Who asks for one scheme by name does not expect a search. */
const ANALYSIS_MS = 2500;
/** Worth the time before a version is written that is far from the float model. */
const LONG_ANALYSIS_MS = 10_000;
/** Layers of so little of the work are given back without asking whether other means would do. */
const LITTLE_WORK = 0.1;
/** Aimed at beyond the limit: other samples than these few will be a little worse. */
const MARGIN_DB = 1.5;

export interface KeptAccuracy {
  readonly scheme: Scheme;
  readonly asIs: false;
  readonly rows: undefined;
  /** Why nodes were given back to float, by their label. */
  readonly given: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
  /** How close it is on the samples that it was checked on; null where its outputs are the same. */
  readonly sqnrDb?: number | null;
}

/**
 * A static scheme with the ranges that do best where none were asked for (`closerRanges`), and that
 * does not collapse: where its result is further from the float model than the limit (20 dB, or
 * `--min-sqnr`) on a few calibration samples, the layers that cost most are given back to float, unless
 * the device has none. Where these are not few, or there is no float, channels are equalized, and
 * weights and biases fitted to the samples, first. Where even that does not help, the scheme stays,
 * with a warning. Other schemes, models without samples and those quantized already are left alone.
 */
export async function keepAccuracy(
  scheme: Scheme,
  request: Partial<QuantizeRequest>,
  options: {
    readonly subject: Subject;
    readonly maker: VersionMaker;
    readonly scratch: Scratch;
    readonly hooks: Hooks;
  },
): Promise<KeptAccuracy> {
  const { noMixed = false, minSqnrDb = MIN_SQNR_DB } = request;
  const plain = { scheme, asIs: false, rows: undefined, given: new Map(), warnings: [] } as const;
  const mayMix = scheme.integerOnly !== true && !noMixed;
  const mayChoose = mayChooseRanges(scheme, request);
  const { samples, loaded } = options.subject;
  const mayTune = scheme.integerOnly === true && isLeftToUs(request);
  const isForUs = scheme.method === 'static' && !isQuantized(loaded.model);
  if (!isForUs || samples.calibration === null || !(mayMix || mayChoose || mayTune)) return plain;
  options.hooks.progress({ phase: 'checking the accuracy' });
  const scorer = new Scorer({
    ...options,
    samples: CHECK_SAMPLES,
    analysisMs: ANALYSIS_MS,
  });
  const asAsked = await scorer.score(scheme);
  const ranged = mayChoose ? await closerRanges(asAsked, scorer) : asAsked;
  const reaches = ({ sqnrDb: own }: Version) => own === null || own >= minSqnrDb;
  if (reaches(ranged)) return { ...plain, scheme: ranged.scheme, sqnrDb: ranged.sqnrDb };
  if (!mayMix) {
    const best = mayTune ? await tuned(ranged, scorer) : ranged;
    const { scheme: chosen, sqnrDb } = best;
    const short = sqnrDb === null || reaches(best) ? [] : [tooFar(sqnrDb, minSqnrDb)];
    return { ...plain, scheme: chosen, sqnrDb, warnings: short };
  }
  const tools = {
    score: (one: Scheme) => scorer.score(one),
    sensitivity: (one: Scheme) => scorer.sensitivity(one),
  };
  const keptFrom = (mixed: Mixed) => ({
    ...plain,
    scheme: mixed.scheme,
    sqnrDb: mixed.sqnrDb,
    given: mixed.given,
  });
  const target = minSqnrDb + MARGIN_DB;
  // What goes wrong here goes wrong below again, where it becomes a warning.
  const quick = await mixToReach(target, ranged.scheme, tools, LITTLE_WORK).catch(() => undefined);
  options.hooks.signal.throwIfAborted();
  if (quick !== undefined) return keptFrom(quick);
  const best = await tuned(ranged, scorer);
  const { scheme: chosen, sqnrDb } = best;
  if (sqnrDb === null || reaches(best)) return { ...plain, scheme: chosen, sqnrDb };
  const found = `SQNR is ${sqnrDb.toFixed(1)} dB on calibration samples (wanted: ${minSqnrDb})`;
  try {
    const mixed = await mixToReach(target, chosen, {
      ...tools,
      sensitivity: (one) => scorer.sensitivity(one, LONG_ANALYSIS_MS),
    });
    if (mixed !== undefined) return keptFrom(mixed);
    const warning = `${found} and no layer given back to float mends it: try --to auto`;
    return { ...plain, scheme: chosen, sqnrDb, warnings: [warning] };
  } catch (error) {
    options.hooks.signal.throwIfAborted();
    const warning = `${found}; which layers cost it could not be found out: ${messageOf(error)}`;
    return { ...plain, scheme: chosen, sqnrDb, warnings: [warning] };
  }
}

/** Whether how weights are rounded is nobody's wish, and no ranges of elsewhere stand in for samples. */
function isLeftToUs({ scheme, ranges, saveRanges }: Partial<QuantizeRequest>): boolean {
  return typeof scheme !== 'object' && (ranges ?? []).length === 0 && saveRanges === undefined;
}

function tooFar(sqnrDb: number, wanted: number): string {
  return `SQNR is ${sqnrDb.toFixed(1)} dB on calibration samples, below ${wanted}: check how inputs are prepared; agent inspect shows which layers cost it`;
}

/**
 * The version with its channels equalized, with weights rounded for each layer's output and biases
 * measured, as far as each of these is closer: it costs neither speed nor size, as layers in float do.
 */
async function tuned(plain: Version, scorer: Scorer): Promise<Version> {
  const { perChannel, format, equalize } = plain.scheme;
  const { refinements } = scorer;
  if (!perChannel || format === 'qoperator') return plain;
  // Where channels may not be scaled, it would be the plain version again.
  const mayEqualize =
    equalize === undefined && effortOf({ ...plain.scheme, equalize: true }) !== undefined;
  const biases = refinements.has('biased') ? ({ biases: 'measured' } as const) : {};
  const steps: readonly Partial<Scheme>[] = [
    ...(refinements.has('equalized') && mayEqualize ? [{ equalize: true }] : []),
    ...(refinements.has('rounded') ? [{ rounding: 'adaptive' as const, ...biases }] : []),
  ];
  let best = plain;
  for (const step of steps) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- each builds on the one before
      const better = await scorer.score({ ...best.scheme, ...step });
      if ((better.sqnrDb ?? Infinity) > (best.sqnrDb ?? Infinity)) best = better;
    } catch {
      scorer.signal.throwIfAborted();
    }
  }
  return best;
}
