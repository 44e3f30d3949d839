import type { Scheme } from '../../contracts/scheme.ts';
import { messageOf } from '../../util/errors.ts';
import { mixToReach } from './mixed.ts';
import type { Scored, Scorer } from './scorer.ts';
import type { Refinement } from './version-maker.ts';

/** A static version with a name, made and scored on calibration samples. */
export interface StaticVersion extends Scored {
  readonly label: string;
  readonly why: string;
  /** Why nodes were given back, by their label. */
  readonly given?: ReadonlyMap<string, string>;
}

export interface Dropped {
  readonly label: string;
  readonly scheme: Scheme;
  readonly why: string;
  readonly error: string;
}

/**
 * Ways to take ranges that are worth comparing. Those that need histograms come first, so that one
 * pass over the samples serves all of them.
 */
const OBSERVERS: readonly Scheme['observer'][] = ['percentile', 'mse', 'min-max'];
const WIDEST: Scheme['observer'] = 'min-max';

/**
 * Further forms of the best version, by the suffix of their name. They are tried in this order, each
 * on top of what was best until then.
 */
const REFINEMENTS: readonly {
  readonly suffix: Refinement;
  readonly change: Partial<Scheme>;
}[] = [
  { suffix: 'equalized', change: { equalize: true } },
  { suffix: 'rounded', change: { rounding: 'adaptive' } },
  { suffix: 'biased', change: { biases: 'measured' } },
];

/** Points of the curve from speed to accuracy at which mixed versions are made, in dB. */
const CURVE_DB: readonly number[] = [21.5, 24, 27, 30, 40];
/**
 * After this long nothing further is tried but what is needed to reach the first point of the curve:
 * refinements are worth a decibel or two, not minutes.
 */
const PATIENCE_MS = 40_000;
/** Versions that give back more than this share of what integers save are float with a fringe. */
const MOST_GIVEN = 0.9;
/** Another way to take ranges is measured as well when it is this close to the best one. */
const CLOSE_DB = 3;

export interface StaticVersions {
  /** Worth measuring. */
  readonly versions: readonly StaticVersion[];
  /** Looked at on calibration samples only. */
  readonly dropped: readonly Dropped[];
}

/**
 * The static versions worth measuring: the best ways to take ranges, the split between integers and
 * float that is fastest here, and mixed versions along the curve from speed to accuracy. What is not
 * among the best on a few calibration samples is not measured.
 */
export async function staticVersions(base: Scheme, scorer: Scorer): Promise<StaticVersions> {
  const start = performance.now();
  const end = start + PATIENCE_MS;
  // A refinement begun late would end far too late.
  const { found, failed } = await plainVersions(base, scorer, start + PATIENCE_MS / 2);
  const [best, ...others] = found.toSorted((a, b) => decibels(b) - decibels(a));
  if (best === undefined) return { versions: [], dropped: failed };
  const close = others.find((one) => decibels(one) >= decibels(best) - CLOSE_DB);
  // Ranges that cut off least are the safest for samples that calibration has not seen.
  const widest = others.find(({ label }) => label.endsWith(WIDEST));
  const kept = [close, widest].flatMap((one) => one ?? []);
  const { mixed, failure } = await mixedOrNone(best, scorer, end);
  return {
    versions: unique([best, ...mixed, ...kept]),
    dropped: [
      ...failed,
      ...failure,
      ...others
        .filter((one) => !kept.includes(one))
        .map((one) => ({ ...one, error: weaker(one, best) })),
    ],
  };
}

const decibels = ({ sqnrDb }: Scored) => sqnrDb ?? Infinity;

function weaker(one: StaticVersion, best: StaticVersion): string {
  const [own, other] = [decibels(one).toFixed(1), decibels(best).toFixed(1)];
  return `not measured: ${own} dB on calibration samples, and ${best.label} has ${other}`;
}

async function plainVersions(
  base: Scheme,
  scorer: Scorer,
  end: number,
): Promise<{ found: readonly StaticVersion[]; failed: readonly Dropped[] }> {
  const found: StaticVersion[] = [];
  const failed: Dropped[] = [];
  const add = async (label: string, scheme: Scheme, why: string) => {
    try {
      found.push({ ...(await scorer.score(scheme)), label, why });
    } catch (error) {
      scorer.signal.throwIfAborted();
      failed.push({ label, scheme, why, error: messageOf(error) });
    }
  };
  for (const observer of OBSERVERS) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
    await add(`int8-static-${observer}`, { ...base, observer }, `ranges by ${observer}`);
  }
  const refinements = REFINEMENTS.filter(({ suffix }) => scorer.refinements.has(suffix));
  for (const { suffix, change } of refinements) {
    const best = found.toSorted((a, b) => decibels(b) - decibels(a))[0];
    if (best === undefined || performance.now() > end) break;
    // oxlint-disable-next-line no-await-in-loop -- the next one builds on this one
    await add(`${best.label}-${suffix}`, { ...best.scheme, ...change }, `${best.why}, ${suffix}`);
  }
  return { found, failed };
}

/** What fails while looking for mixed versions costs these, not the others. */
async function mixedOrNone(
  best: StaticVersion,
  scorer: Scorer,
  end: number,
): Promise<{ mixed: readonly StaticVersion[]; failure: readonly Dropped[] }> {
  try {
    return { mixed: await mixedVersions(best, scorer, end), failure: [] };
  } catch (error) {
    scorer.signal.throwIfAborted();
    const why = 'gives back what costs most accuracy';
    const failed = { label: 'int8-mixed', scheme: best.scheme, why, error: messageOf(error) };
    return { mixed: [], failure: [failed] };
  }
}

async function mixedVersions(
  best: StaticVersion,
  scorer: Scorer,
  end: number,
): Promise<readonly StaticVersion[]> {
  const made: StaticVersion[] = [];
  const float =
    performance.now() > end ? new Set<string>() : await scorer.split(best.scheme, new Set());
  if (float.size > 0) {
    const why = 'nodes that are slower in integers stay in float';
    const given = new Map([...float].map((label) => [label, 'float is faster for it here']));
    const scheme = { ...best.scheme, excluded: [...best.scheme.excluded, ...float] };
    const scored = await scorer.score(scheme).catch(() => undefined);
    scorer.signal.throwIfAborted();
    if (scored !== undefined) made.push({ ...scored, label: 'int8-split', why, given });
  }
  const reached = () => Math.max(...[best, ...made].map(decibels));
  for (const target of CURVE_DB) {
    if (target > (CURVE_DB[0] ?? 0) && performance.now() > end) break;
    if (reached() >= target) continue;
    // oxlint-disable-next-line no-await-in-loop -- what one target reaches spares the next
    const mixed = await mixToReach(target, best.scheme, scorer);
    if (mixed === undefined || mixed.share > MOST_GIVEN) break;
    const why = `gives back what costs most accuracy, for ${target} dB`;
    made.push({ ...mixed, label: `int8-mixed-${Math.round(target)}`, why });
  }
  return made;
}

function unique(versions: readonly StaticVersion[]): readonly StaticVersion[] {
  const seen = new Set<string>();
  return versions.filter(({ path }) => !seen.has(path) && seen.add(path));
}
