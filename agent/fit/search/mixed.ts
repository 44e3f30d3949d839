import type { Scheme } from '../../contracts/scheme.ts';
import { QuantizeError } from '../../quantize/errors.ts';
import { decibelOf, giveBack, noiseOf, predictedNoise } from './give-back.ts';
import type { Sensitivity } from './give-back.ts';
import type { Scored } from './scorer.ts';

/** A version in which some nodes stay in float for accuracy. */
export interface Mixed extends Scored {
  /** Labels of the nodes given back, with what each of them cost in words. */
  readonly given: ReadonlyMap<string, string>;
  /** Work given back, as a share of all work in integers. */
  readonly share: number;
}

/** What the search needs of `Scorer`. */
export interface MixedTools {
  score(scheme: Scheme): Promise<Scored>;
  sensitivity(scheme: Scheme): Promise<Sensitivity>;
  /** Adds to nodes in float what runs no slower there; without it nothing is added. */
  split?(scheme: Scheme, float: ReadonlySet<string>): Promise<ReadonlySet<string>>;
}

/** Versions made and scored at most: each is one step of the search. */
const TRIES = 6;
/** A version this close under the noise allowed is not improved on. */
const TIGHT = 0.75;
/** The two sides of the search are as good as one. */
const SAME_AIM = 1.2;

/**
 * The version of a static scheme that reaches `targetDb` on the calibration samples with the least
 * work given back to float. The prediction (powers of noise add up) chooses the nodes, and every
 * choice is made and run: where it misses, the next one aims lower or higher. Undefined when nothing
 * short of the float model gets there.
 * @param mostShare of the work that may be given back; the search ends where more is needed
 */
export async function mixToReach(
  targetDb: number,
  scheme: Scheme,
  tools: MixedTools,
  mostShare = Infinity,
): Promise<Mixed | undefined> {
  if (scheme.biases !== 'measured') return search(targetDb, scheme, tools, mostShare);
  // Measuring biases takes longer than all else of a version: once, in the end, is enough.
  const derived = { ...scheme, biases: 'derived' } as const;
  const gain = decibels(await tools.score(scheme)) - decibels(await tools.score(derived));
  for (const aim of gain > 0 ? [targetDb - gain, targetDb] : [targetDb]) {
    // oxlint-disable-next-line no-await-in-loop -- the second aim is for where the first one missed
    const found = await search(aim, derived, tools, mostShare);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const measured = found && (await closer(found, tools));
    if (measured !== undefined && decibels(measured) >= targetDb) return measured;
  }
  return undefined;
}

const decibels = ({ sqnrDb }: Pick<Scored, 'sqnrDb'>) => sqnrDb ?? Infinity;

/** The version with measured biases, where that is closer. */
async function closer(found: Mixed, tools: MixedTools): Promise<Mixed> {
  // The version without is made and good: what goes wrong with the other one is no reason to end.
  const measured = await tools
    .score({ ...found.scheme, biases: 'measured' })
    .catch(() => undefined);
  return measured !== undefined && decibels(measured) >= decibels(found)
    ? { ...found, ...measured }
    : found;
}

async function search(
  targetDb: number,
  scheme: Scheme,
  tools: MixedTools,
  mostShare: number,
): Promise<Mixed | undefined> {
  const sensitivity = await tools.sensitivity(scheme);
  const split = async (float: ReadonlySet<string>) => (await tools.split?.(scheme, float)) ?? float;
  const start = await split(new Set());
  const allowed = noiseOf(targetDb);
  const tried = new Map<string, number>();
  let [good, bad] = [0, Infinity];
  let aim = allowed * overrated(sensitivity, await tools.score(scheme));
  let best: Mixed | undefined;
  for (let count = 0; count < TRIES; count++) {
    // oxlint-disable-next-line no-await-in-loop -- the next step depends on this one
    const labels = await split(giveBack(sensitivity, aim, start));
    if (share(labels, sensitivity) > mostShare) break;
    const key = [...labels].toSorted().join('\n');
    const known = tried.get(key);
    // oxlint-disable-next-line no-await-in-loop -- the next step depends on this one
    const made =
      known === undefined ? await attempt(scheme, labels, sensitivity, tools) : undefined;
    const noise = known ?? (made === undefined ? 0 : noiseOf(made.sqnrDb ?? Infinity));
    tried.set(key, noise);
    const enough = noise <= allowed;
    if (enough) good = Math.max(good, aim);
    else bad = Math.min(bad, aim);
    if (enough && made !== undefined && made.share <= (best?.share ?? Infinity)) best = made;
    if (enough && noise > allowed * TIGHT) break;
    if (good > 0 && bad / good < SAME_AIM) break;
    // All was given back: what is predicted without giving back anything is too much.
    if (noise === 0 && bad === Infinity) bad = predictedNoise(sensitivity, start);
    aim = nextAim({ good, bad, aim, ratio: known === undefined ? allowed / noise : 1 });
  }
  return best;
}

/** How many times too large the prediction is for the version as it is; 1 where it is too small. */
function overrated(sensitivity: Sensitivity, plain: Scored): number {
  const noise = noiseOf(decibels(plain));
  return noise > 0 ? Math.max(1, predictedNoise(sensitivity, new Set()) / noise) : 1;
}

/** Between what was enough and what was not; before both are known, as far as the last one missed. */
function nextAim(state: {
  readonly good: number;
  readonly bad: number;
  readonly aim: number;
  readonly ratio: number;
}): number {
  const { good, bad, aim, ratio } = state;
  if (good > 0 && bad < Infinity) return Math.sqrt(good * bad);
  return good > 0 ? aim * Math.min(4, Math.max(1.5, ratio)) : aim * Math.min(0.5, ratio);
}

async function attempt(
  scheme: Scheme,
  labels: ReadonlySet<string>,
  sensitivity: Sensitivity,
  tools: MixedTools,
): Promise<Mixed | undefined> {
  const excluded = [...new Set([...scheme.excluded, ...labels])];
  try {
    const scored = await tools.score({ ...scheme, excluded });
    return { ...scored, given: costs(labels, sensitivity), share: share(labels, sensitivity) };
  } catch (error) {
    // Everything was given back: that is the float model, not a mixed one.
    if (error instanceof QuantizeError && error.code === 'NOTHING_TO_QUANTIZE') return undefined;
    throw error;
  }
}

/** Work of some nodes, as a share of all work in integers. */
function share(labels: ReadonlySet<string>, { units }: Sensitivity): number {
  const total = units.reduce((sum, { work }) => sum + work, 0);
  const given = units.reduce((sum, { label, work }) => sum + (labels.has(label) ? work : 0), 0);
  return total === 0 ? 0 : given / total;
}

function costs(labels: ReadonlySet<string>, { sources }: Sensitivity): ReadonlyMap<string, string> {
  return new Map(
    [...labels].map((label) => {
      const own = sources.filter(({ units }) => units.includes(label));
      const noise = own.reduce((sum, source) => sum + source.noise, 0);
      const alone =
        noise > 0
          ? ` rounded alone it holds the model to ${decibelOf(noise).toFixed(1)} dB`
          : ' it does little work between such nodes';
      return [label, `given back to float:${alone}`];
    }),
  );
}
