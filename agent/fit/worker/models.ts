import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InputSpecs } from '../../calibration/inputs.ts';
import type { WorkerContext } from '../../runtime/protocol.ts';
import type { Feeds, Outputs, SessionDescription } from '../../runtime/types.ts';
import type { SampleInfo, SampleJob } from '../samples/sample-jobs.ts';
import { guessesFor, syntheticFeeds } from '../samples/synthetic.ts';
import type { Guess } from '../samples/synthetic.ts';
import { openJob, specsFor } from './samples.ts';
import { LOOKING, PRODUCTION, withSession, delegated } from './sessions.ts';
import type { Delegated } from './sessions.ts';

/* What a model and its samples are. */

interface Described {
  readonly job: SampleJob;
  readonly description: SessionDescription;
}

export const modelHandlers = {
  /** Inputs and outputs of a model, by loading it once. */
  describe: ({ path, delegate }: { path: string } & Delegated): Promise<SessionDescription> =>
    withSession(path, { ...LOOKING, threads: 1, ...delegated(delegate) }, async (session) =>
      session.describe(),
    ),

  /** The first guess at open sizes that the model runs with; null where none does. */
  guessSizes: ({
    path,
    description,
    delegate,
  }: Delegated & { path: string; description: SessionDescription }): Promise<Guess | null> =>
    withSession(path, { ...PRODUCTION, threads: 1, ...delegated(delegate) }, async (session) => {
      for (const guess of guessesFor(description)) {
        // Of text no values can be made up: no guess runs, which is no reason to fail.
        const run = async () => session.run(syntheticFeeds(description, guess));
        // oxlint-disable-next-line no-await-in-loop -- the next one is for where this one fails
        const ran = await run().then(
          () => true,
          () => false,
        );
        if (ran) return guess;
      }
      return null;
    }),

  /** What the runtime infers of outputs, weights or not: nothing is prepared for running. */
  infer: async ({ path }: { path: string }): Promise<SessionDescription['outputs']> =>
    withSession(path, { ...LOOKING, threads: 1 }, async (session) => session.describe().outputs),

  /** The outputs of a model without inputs: the values of constants. */
  constants: async ({ model }: { model: Uint8Array }): Promise<Outputs> => {
    const folder = await mkdtemp(join(tmpdir(), 'edgefit-constants-'));
    try {
      const path = join(folder, 'constants.onnx');
      await writeFile(path, model);
      return await withSession(path, { ...LOOKING, threads: 1 }, (session) => session.run({}));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },

  sampleInfo: async ({ job, description }: Described): Promise<SampleInfo> => {
    const { source, assumed } = await openJob(job, description);
    const { count, labelled, describe, warnings } = source;
    return { count, labelled, describe, warnings: [...warnings, ...assumed] };
  },

  /** How the values of each input are made, guesses included. */
  inputSpecs: async ({ job, description }: Described): Promise<InputSpecs['inputs']> =>
    (await specsFor(job, description)).inputs,

  /** The first sample, for timing. */
  firstFeeds: async (
    { job, description }: Described,
    { signal }: WorkerContext,
  ): Promise<Feeds | null> => {
    const from = job.from ?? 0;
    const { source } = await openJob({ ...job, from, to: from + 1 }, description, signal);
    for await (const { feeds } of source) return feeds;
    return null;
  },

  /**
   * Keeps up to `most` samples of a command in a file: a camera gives other pictures the second time.
   * Returns how many.
   */
  spool: async (
    { job, description, to, most }: Described & { to: string; most: number },
    context: WorkerContext,
  ): Promise<number> => {
    const { writeReference } = await import('../../bench/reference.ts');
    const { source } = await openJob(job, description, context.signal);
    let count = 0;
    async function* first(): AsyncGenerator<Feeds> {
      for await (const { feeds } of source) {
        yield feeds;
        context.progress({ done: ++count });
        if (count === most) return;
      }
    }
    await writeReference(to, first());
    return count;
  },

  /** How many bytes each output takes for the first sample. */
  outputBytes: async ({ path, job }: { path: string; job: SampleJob }) =>
    withSession(path, { ...LOOKING, threads: 1 }, async (session) => {
      const { source } = await openJob(job, session.describe());
      for await (const { feeds } of source) return bytesOf(await session.run(feeds));
      return {};
    }),
};

function bytesOf(outputs: Outputs): Record<string, number> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => {
      return [name, 'byteLength' in data ? data.byteLength : 0];
    }),
  );
}
