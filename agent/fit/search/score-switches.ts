import type { Session } from '../../runtime/types.ts';
import { FidelityMeter } from '../../bench/fidelity.ts';
import { switches } from './score-board.ts';
import type { ScoreBoard } from './score-board.ts';
import { noiseBySource } from './source-noise.ts';

export interface SwitchOptions {
  /** Name of the input with the switches, and how many there are. */
  readonly input: string;
  readonly count: number;
  readonly budgetMs: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Sources with less than this share of all noise are not worth a second look. */
const LOUD = 0.002;

/**
 * The noise power of each switch by itself, as a share of the outputs' power. One sample shows which
 * ones matter; those are run on more samples, as long as there is time.
 */
export async function scoreSwitches(
  board: ScoreBoard,
  session: Session,
  { input, count, budgetMs, onProgress }: SwitchOptions,
): Promise<Float64Array> {
  const start = performance.now();
  const isOver = () => performance.now() - start > budgetMs;
  const run = async (on: readonly number[], meter: FidelityMeter, sample: number) => {
    const known = board.samples[sample];
    if (known === undefined) return;
    const feeds = { ...known.feeds, ...switches(input, count, on) };
    meter.add(known.reference, await session.run(feeds));
  };
  // The first run makes the runtime's buffers; the second one is timed.
  await run([], new FidelityMeter(), 0);
  const before = performance.now();
  await run([], new FidelityMeter(), 0);
  const ms = performance.now() - before;
  const meters = new Map<number, FidelityMeter>();
  let done = 0;
  const noises = await noiseBySource({
    count,
    all: ms * count <= budgetMs,
    isOver,
    measure: async (on) => {
      const meter = new FidelityMeter();
      await run(on, meter, 0);
      const [only, ...others] = on;
      if (only !== undefined && others.length === 0) meters.set(only, meter);
      onProgress?.(Math.min(++done, count), count);
      return noiseIn(meter);
    },
  });
  const total = noises.reduce((sum, noise) => sum + noise, 0);
  const loud = [...meters].filter(([source]) => (noises[source] ?? 0) > total * LOUD);
  for (let sample = 1; sample < board.samples.length; sample++) {
    for (const [source, meter] of loud) {
      if (isOver()) return noises;
      // oxlint-disable-next-line no-await-in-loop -- every run takes the whole machine
      await run([source], meter, sample);
      noises[source] = noiseIn(meter);
    }
  }
  return noises;
}

function noiseIn(meter: FidelityMeter): number {
  const { sqnrDb } = meter.result();
  return sqnrDb === null ? 0 : 10 ** (-sqnrDb / 10);
}
