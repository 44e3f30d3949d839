import { FidelityMeter } from '../../bench/fidelity.ts';
import type { Feeds, Outputs, Session, Tensor } from '../../runtime/types.ts';

/** A few samples and what the float model makes of them. */
export interface ScoreBoard {
  readonly samples: readonly { readonly feeds: Feeds; readonly reference: Outputs }[];
  /** The shortest run of the float model. */
  readonly floatMs: number;
}

export interface Score {
  /** Signal to noise over the samples, in dB; null when nothing differs. */
  readonly sqnrDb: number | null;
  /** The shortest run. */
  readonly ms: number;
}

/** What samples and outputs may take together, once there are a few of them. */
const MOST_BYTES = 64 * 2 ** 20;
const FEWEST = 4;

/** Runs the float model over the first samples: up to `most`, and no longer than `budgetMs`. */
export async function recordBoard(
  session: Session,
  samples: AsyncIterable<{ readonly feeds: Feeds }>,
  { most, budgetMs }: { readonly most: number; readonly budgetMs: number },
): Promise<ScoreBoard> {
  const kept: { feeds: Feeds; reference: Outputs }[] = [];
  const times: number[] = [];
  let bytes = 0;
  for await (const { feeds } of samples) {
    const start = performance.now();
    const reference = await session.run(feeds);
    times.push(performance.now() - start);
    kept.push({ feeds, reference });
    bytes += bytesOf(feeds) + bytesOf(reference);
    if (bytes > MOST_BYTES && kept.length >= FEWEST) break;
    if (kept.length >= most || times.reduce((a, b) => a + b, 0) > budgetMs) break;
  }
  return { samples: kept, floatMs: Math.min(...times) };
}

function bytesOf(tensors: Feeds | Outputs): number {
  return Object.values(tensors).reduce(
    (sum, { data }) => sum + ('byteLength' in data ? data.byteLength : 0),
    0,
  );
}

/** Runs a model over the samples of the board and compares it with the float model. */
export async function scoreOn(board: ScoreBoard, session: Session): Promise<Score> {
  const meter = new FidelityMeter();
  const times: number[] = [];
  for (const { feeds, reference } of board.samples) {
    const start = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as in production
    const outputs = await session.run(feeds);
    times.push(performance.now() - start);
    meter.add(reference, outputs);
  }
  return { sqnrDb: meter.result().sqnrDb, ms: Math.min(...times) };
}

/** The switches of a model with the given ones on. */
export function switches(name: string, count: number, on: Iterable<number>): Feeds {
  const data = new Uint8Array(count);
  for (const number of on) data[number] = 1;
  const tensor: Tensor = { dtype: 'bool', shape: [count], data };
  return { [name]: tensor };
}
