import type { Evaluation } from '../../bench/evaluate.ts';
import { messageOf } from '../../util/errors.ts';
import { inChild, SAMPLE_TIMEOUT_MS } from '../children.ts';
import { counted } from '../progress.ts';
import { workThreads } from '../subject.ts';
import type { EngineTimes } from './measure.ts';
import type { EngineTools } from './tools.ts';

export interface EngineJudgements {
  /** By candidate id; a text says why an engine could not be judged. */
  readonly byId: ReadonlyMap<string, Evaluation | string>;
  /** What the others are compared with: the float engine, or the float model on the CPU. */
  readonly reference: Evaluation | null;
  readonly warnings: readonly string[];
}

/** The program and the engine are loaded anew for each sample, which takes seconds on a Nano. */
const MOST_SAMPLES = 64;
const LEAST_SAMPLES = 8;
const BUDGET_SECONDS = 60;

const idOf = ({ built }: EngineTimes) => built.file.candidate.id;

/** How many samples an engine is judged on, given what starting one takes. */
export function samplesWithin(startSeconds: number): number {
  const affordable = Math.floor(BUDGET_SECONDS / Math.max(startSeconds, 0.001));
  return Math.min(MOST_SAMPLES, Math.max(LEAST_SAMPLES, affordable));
}

/**
 * Runs engines over some of the evaluation samples, the same for all. The float engine comes first:
 * it is what the others are compared with; without one that is the float model on the CPU.
 */
export async function judgeEngines(
  engines: readonly EngineTimes[],
  tools: EngineTools,
): Promise<EngineJudgements> {
  const { subject, scratch, hooks } = tools;
  const byId = new Map<string, Evaluation | string>();
  if (subject.samples.evaluation === null || engines.length === 0) {
    return { byId, reference: null, warnings: [] };
  }
  const most = samplesWithin(Math.max(...engines.map(({ startSeconds }) => startSeconds)));
  const path = scratch.file('reference-tensorrt.bin');
  const float = engines.find(({ built }) => built.file.candidate.method === 'none');
  const warnings: string[] = [];
  let recorded: Evaluation | string = 'no float engine could be measured';
  if (float !== undefined) recorded = await evaluate(float, { path, record: true, most }, tools);
  if (float !== undefined) byId.set(idOf(float), recorded);
  if (typeof recorded === 'string') {
    warnings.push(`engines are compared with the float model on the CPU: ${recorded}`);
    recorded = await evaluate(null, { path, record: true, most }, tools);
  }
  if (typeof recorded === 'string') return { byId, reference: null, warnings: [recorded] };
  for (const engine of engines) {
    if (engine === float) continue;
    // oxlint-disable-next-line no-await-in-loop -- one engine in memory at a time
    byId.set(idOf(engine), await evaluate(engine, { path, record: false, most }, tools));
  }
  hooks.signal.throwIfAborted();
  const count = subject.evaluationInfo?.count ?? null;
  if (count === null || count > recorded.samples) {
    warnings.push(
      `tensorrt: accuracy rests on ${recorded.samples} of ${count ?? 'the'} samples: the engine is loaded anew for each`,
    );
  }
  return { byId, reference: recorded, warnings };
}

async function evaluate(
  engine: EngineTimes | null,
  { path, record, most }: { path: string; record: boolean; most: number },
  { subject, trtexec, scratch, hooks }: EngineTools,
): Promise<Evaluation | string> {
  const job = subject.samples.evaluation;
  if (job === null) return 'there are no samples';
  const name = engine === null ? 'the float model' : engine.built.file.candidate.id;
  const phase = `judging ${name.replace(/\/t\d+$/, '')}`;
  const session =
    engine === null
      ? null
      : {
          trtexec: trtexec.path,
          version: trtexec.version,
          engine: engine.built.engine.path,
          shapes: engine.built.options.shapes,
          description: subject.description,
        };
  const request = {
    path: subject.loaded.path,
    engine: session,
    job,
    count: subject.evaluationInfo?.count ?? null,
    most,
    task: subject.package.task,
    reference: path,
    record,
    threads: workThreads(subject),
  };
  try {
    return await inChild({
      name,
      signal: hooks.signal,
      scratch,
      use: (worker) =>
        worker.call('evaluateSome', request, {
          // One sample is one start of the program, which has a limit of its own.
          timeoutMs: 3 * SAMPLE_TIMEOUT_MS,
          onProgress: (value) => hooks.progress({ phase, ...counted(value) }),
        }),
    });
  } catch (error) {
    hooks.signal.throwIfAborted();
    return messageOf(error);
  }
}
