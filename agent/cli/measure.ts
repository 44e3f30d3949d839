import type { BenchRun } from '../fit/types.ts';
import { FitError } from '../fit/errors.ts';
import { missedObjectives } from '../fit/decide/objective.ts';
import type { CliContext, Outcome } from './context.ts';
import { EXIT } from './errors.ts';
import { readBenchRequest, type MeasureOptions } from './options.ts';
import { createProgress } from './progress.ts';

/**
 * Benchmarks with progress on stderr, hands the run to `use`, reports it where that was asked for,
 * judges it, and cleans up whatever happens.
 */
export async function measure(
  modelPath: string,
  options: MeasureOptions & Record<string, unknown>,
  context: CliContext,
  outcome: Outcome,
  use: (run: BenchRun) => Promise<void>,
): Promise<void> {
  const request = readBenchRequest(modelPath, options);
  const send = (await context.reporting?.prepare(options, context.io.env)) ?? null;
  const { benchModel } = await context.loadFit();
  const progress = createProgress(context.io.stderr);
  const hooks = { signal: context.signal, progress: progress.report };
  const run = await benchModel(request, hooks).finally(progress.clear);
  try {
    await use(run);
    // First the verdict, then the broker: when that fails, everything has been said.
    const failure = judge(run, context, outcome);
    if (send !== null) await send(run.report, context.signal);
    if (failure !== undefined) throw failure;
  } finally {
    await run.cleanup();
  }
}

/** Says what was missed and sets the exit code; returns an error when nothing could be chosen. */
function judge({ report }: BenchRun, context: CliContext, outcome: Outcome): FitError | undefined {
  if (report.chosen === null) {
    const [first] = report.candidates;
    const why = first === undefined ? 'there was no candidate' : `${first.id}: ${first.reason}`;
    return new FitError('nothing-chosen', `nothing could be chosen: ${why}`, { kind: 'failure' });
  }
  for (const missed of missedObjectives(report)) {
    context.io.stderr.write(`agent: ${missed}\n`);
    Object.assign(outcome, { code: EXIT.objectiveMissed });
  }
  return undefined;
}
