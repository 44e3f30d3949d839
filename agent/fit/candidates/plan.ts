import type { Precision, RuntimeName } from '../../contracts/facts.ts';
import { noScheme } from '../../contracts/scheme.ts';
import { schemesFor, type SchemeChoice } from './schemes.ts';
import { chooseRuntimes, unusableHere } from './runtimes.ts';
import { obstacleTo, whyWorthIt, type Method } from './rules.ts';
import { ENGINE_THREADS, engineCandidates } from '../tensorrt/candidates.ts';
import { threadCounts } from './threads.ts';
import type {
  Candidate,
  ModelSummary,
  NotTried,
  Plan,
  PlanFacts,
  PlanProfile,
  PlanRequest,
} from '../types.ts';

interface Variant extends SchemeChoice {
  readonly precision: Precision;
  /** The middle part of the id. */
  readonly label: string;
}

/**
 * What is worth making and measuring here. The file itself comes first: it is the reference of all
 * others. Throws `FitError` `no-runtime` when nothing here can run the file.
 */
export function plan(
  summary: ModelSummary,
  facts: PlanFacts,
  profile: PlanProfile,
  request: PlanRequest,
): Plan {
  const { format } = summary;
  const unusable = unusableHere(facts, request.unusable);
  const runtimes = chooseRuntimes(format, profile, request.runtimes, unusable);
  const threads = threadCounts(request.threads, facts, profile);
  const parts = runtimes.chosen.map((runtime) => {
    const { variants, notTried } = planVariants(summary, facts, profile, request, runtime);
    const counts = runtime === 'tensorrt' ? ENGINE_THREADS : threads;
    const candidates = [referenceVariant(summary, request), ...variants].flatMap((variant) =>
      counts.map((count) => toCandidate(variant, runtime, count)),
    );
    if (runtime === 'tensorrt')
      return { candidates: engineCandidates(candidates, facts), notTried };
    return { candidates, notTried };
  });
  return {
    candidates: parts.flatMap(({ candidates }) => candidates),
    notTried: [...runtimes.notTried, ...parts.flatMap(({ notTried }) => notTried)],
  };
}

function toCandidate(variant: Variant, runtime: RuntimeName, threads: number): Candidate {
  const { label, precision, scheme, why } = variant;
  const id = `${runtime}/${label}/t${threads}`;
  return { id, precision, method: scheme.method, runtime, threads, scheme, why };
}

function referenceVariant(summary: ModelSummary, request: PlanRequest): Variant {
  const { precision } = summary;
  const asked = request.precisions?.some((choice) => choice === precision) ?? true;
  const form = summary.form === undefined ? '' : ` (${summary.form})`;
  const what = summary.alreadyQuantized
    ? `the file as it is, already quantized${form}`
    : `the file as it is${form}`;
  const why = request.asIs
    ? what
    : `${what}: the reference for all others${asked ? '' : ', though not asked for'}`;
  return { precision, label: precision, scheme: noScheme, why };
}

function planVariants(
  summary: ModelSummary,
  facts: PlanFacts,
  profile: PlanProfile,
  request: PlanRequest,
  runtime: RuntimeName,
): { variants: readonly Variant[]; notTried: readonly NotTried[] } {
  if (request.asIs) {
    return {
      variants: [],
      notTried: [{ precision: 'other precisions', why: 'only the file itself was asked for' }],
    };
  }
  const variants: Variant[] = [];
  const notTried: NotTried[] = [];
  for (const method of methodsInOrder(profile)) {
    const obstacle = obstacleTo(method, summary, profile, request, runtime);
    if (obstacle === undefined) {
      const choices = schemesFor(profile, facts, method, runtime);
      variants.push(...variantsOf(method, summary, choices));
    } else notTried.push({ precision: method, why: obstacle });
  }
  return { variants, notTried };
}

/** In the order of the profile; what it does not list comes last, mostly to be refused. */
function methodsInOrder(profile: PlanProfile): readonly Method[] {
  const listed = profile.precisions.flatMap(methodsOf);
  const others = (['int8', 'fp16'] as const).flatMap(methodsOf);
  return [...new Set([...listed, ...others])];
}

function methodsOf(precision: Precision): readonly Method[] {
  if (precision === 'int8') return ['int8-static', 'int8-dynamic'];
  return precision === 'fp16' ? ['fp16'] : [];
}

function variantsOf(
  method: Method,
  summary: ModelSummary,
  choices: readonly SchemeChoice[],
): readonly Variant[] {
  const labels = uniqueLabels(method, choices);
  return choices.map(({ scheme, why }, index) => ({
    precision: method === 'fp16' ? 'fp16' : 'int8',
    label: labels[index] ?? method,
    scheme,
    why: `${whyWorthIt(method, summary)}; ${why}`,
  }));
}

/** The first scheme takes the plain label, the next add how they differ. */
function uniqueLabels(method: Method, choices: readonly SchemeChoice[]): readonly string[] {
  const labels: string[] = [];
  for (const { scheme } of choices) {
    const detailed = `${method}-${scheme.activations ?? 'float'}`;
    const grain = `${detailed}-${scheme.perChannel ? 'channel' : 'tensor'}`;
    const range = `${grain}${scheme.reduceRange ? '-7bit' : ''}-${scheme.weights ?? 'float'}`;
    labels.push([method, detailed, grain, range].find((one) => !labels.includes(one)) ?? range);
  }
  return labels;
}
