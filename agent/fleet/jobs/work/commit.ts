import { Slots } from '../../../deploy/slots/slots.ts';
import { removeDurably } from '../../../util/durable.ts';
import { messageOf } from '../../../util/errors.ts';
import type { PhaseFindings } from '../phase-work.ts';
import type { WorkContext } from './context.ts';
import { dropEvaluations, keepEvaluation } from './evaluation.ts';
import { packageFolder } from './fetch.ts';
import type { Wanted } from './stage.ts';

/**
 * Says that the new release is good: from now on no older one is deployed here. Then removes what is
 * not needed any more; that this fails is no reason to go back to the old model.
 */
export async function commitDeploy(model: Wanted, context: WorkContext): Promise<PhaseFindings> {
  await context.counters.raiseRelease(model.name, model.releaseCounter);
  const kept = await keepEvaluation(model, context).then(
    () => ({}),
    (error: unknown) => ({ samplesNotKept: messageOf(error) }),
  );
  const tidied = await tidy(model.name, context, packageFolder(model, context));
  const result = { ...kept, ...tidied.result };
  return Object.keys(result).length === 0 ? {} : { result };
}

/** The same for a way back: the counter stays. */
export function commitRollback(model: string, context: WorkContext): Promise<PhaseFindings> {
  return tidy(model, context);
}

async function tidy(model: string, context: WorkContext, used?: string): Promise<PhaseFindings> {
  try {
    const slots = new Slots(context.folders.models, model);
    await slots.collect();
    await dropEvaluations(slots, model, context);
    if (used !== undefined) await removeDurably(used);
    return {};
  } catch (error) {
    return { result: { notRemoved: messageOf(error) } };
  }
}
