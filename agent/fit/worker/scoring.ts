import type { KernelTime } from '../../bench/profile.ts';
import { runtimeOf } from '../../runtime/open-file.ts';
import type { WorkerContext } from '../../runtime/protocol.ts';
import type { OpenOptions } from '../../runtime/types.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import type { Score, ScoreBoard } from '../search/score-board.ts';
import { openJob } from './samples.ts';
import { PRODUCTION, withSession } from './sessions.ts';

/** What versions of a model are scored against. */
let board: ScoreBoard | undefined;

export const scoringHandlers = {
  /** Runs the float model over a few samples, to score versions of it. Returns how many and how fast. */
  startScoring: async (
    request: {
      path: string;
      job: SampleJob;
      count: number | null;
      most: number;
      budgetMs: number;
      threads: number;
    },
    context: WorkerContext,
  ): Promise<{ samples: number; floatMs: number }> => {
    const { recordBoard } = await import('../search/score-board.ts');
    const { forgetSamples } = await import('../samples/remembered.ts');
    forgetSamples();
    const { path, job, count, threads } = request;
    board = await withSession(path, { ...PRODUCTION, threads }, async (session) => {
      const { spread } = await import('../samples/spread.ts');
      const jobs = spread(job, count, request.most);
      async function* samples() {
        for (const one of jobs) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          const { source } = await openJob(one, session.describe(), context.signal);
          yield* source;
        }
      }
      return recordBoard(session, samples(), request);
    });
    return { samples: board.samples.length, floatMs: board.floatMs };
  },

  /** How far a version is from the float model on those samples. */
  score: async ({ path, threads }: { path: string; threads: number }): Promise<Score> => {
    const { scoreOn } = await import('../search/score-board.ts');
    const known = currentBoard();
    return withSession(path, { ...PRODUCTION, threads }, (session) => scoreOn(known, session));
  },

  /** The noise of every switch of a model, as a share of the outputs' power. */
  scoreSwitches: async (
    request: { path: string; input: string; count: number; budgetMs: number; threads: number },
    context: WorkerContext,
  ): Promise<Float64Array> => {
    const { scoreSwitches } = await import('../search/score-switches.ts');
    const { path, threads, ...rest } = request;
    // No integer kernels: the switches stand between the nodes that would become one.
    const options: OpenOptions = { threads, optimization: 'basic', arena: true };
    return withSession(path, options, (session) =>
      scoreSwitches(currentBoard(), session, {
        ...rest,
        onProgress: (done, total) => context.progress({ done, total }),
      }),
    );
  },

  /** The shortest time of each kernel of a model, in ms, over runs of about `budgetMs`. */
  kernelTimes: async ({
    path,
    budgetMs,
  }: {
    path: string;
    budgetMs: number;
  }): Promise<ReadonlyMap<string, KernelTime>> => {
    const { profileText } = await import('../../bench/coverage.ts');
    const { readKernelTimes } = await import('../../bench/profile.ts');
    const { samples, floatMs } = currentBoard();
    const count = Math.min(50, Math.max(3, Math.floor(budgetMs / Math.max(floatMs, 0.01))));
    const runs = Array.from({ length: count }, (_, index) => samples[index % samples.length]);
    const feeds = runs.flatMap((sample) => (sample === undefined ? [] : [sample.feeds]));
    return readKernelTimes(
      await profileText(await runtimeOf(path), path, feeds, { ...PRODUCTION, threads: 1 }),
    );
  },
};

function currentBoard(): ScoreBoard {
  if (board === undefined) throw new Error('no float model was run to score against');
  return board;
}
