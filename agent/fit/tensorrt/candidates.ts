import { forTensorRt } from '../../contracts/scheme.ts';
import type { Candidate, PlanFacts } from '../types.ts';

/** The GPU does the work: threads of the CPU make no difference. */
export const ENGINE_THREADS: readonly number[] = [1];
const DLA_CORE = 0;

/**
 * Candidates as TensorRT takes them: INT8 by its own rules, and, where there is a deep learning
 * accelerator, FP16 and INT8 on that, too. It knows no other precision.
 */
export function engineCandidates(
  candidates: readonly Candidate[],
  facts: PlanFacts,
): readonly Candidate[] {
  const made = unique(candidates.map(asEngine));
  const hasDla = facts.accelerators?.some(({ kind, usable }) => kind === 'nvidia-dla' && usable);
  if (hasDla !== true) return made;
  const small = made.filter(({ method }) => method === 'fp16' || method === 'static');
  return [...made, ...small.map(onDla)];
}

function asEngine(candidate: Candidate): Candidate {
  const { scheme, why } = candidate;
  if (scheme.method !== 'static') return candidate;
  const rest = 'symmetric INT8 by QuantizeLinear, other layers in FP16';
  return { ...candidate, scheme: forTensorRt(scheme), why: `${why}; ${rest}` };
}

function onDla(candidate: Candidate): Candidate {
  const id = candidate.id.replace(/\/t(\d+)$/, '-dla/t$1');
  const what =
    'on the deep learning accelerator, with the GPU for what that cannot run: it takes less power';
  return { ...candidate, id, dla: DLA_CORE, why: `${candidate.why}; ${what}` };
}

/** Schemes that differ only in what TensorRT has no choice about are one. */
function unique(candidates: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ scheme }) => {
    const key = JSON.stringify(scheme);
    return !seen.has(key) && seen.add(key);
  });
}
