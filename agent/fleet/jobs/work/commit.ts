import { Slots } from '../../../deploy/slots/slots.ts';
import { removeDurably } from '../../../util/durable.ts';
import { messageOf } from '../../../util/errors.ts';
import type { PhaseFindings } from '../runner.ts';
import type { WorkContext } from './context.ts';
import { packageFolder } from './fetch.ts';
import type { Wanted } from './stage.ts';

/**
 * Says that the new release is good: from now on no older one is deployed here. Then removes what is
 * not needed any more; that this fails is no reason to go back to the old model.
 */
export async function commitDeploy(model: Wanted, context: WorkContext): Promise<PhaseFindings> {
  await context.counters.raiseRelease(model.name, model.releaseCounter);
  return tidy(model.name, context, packageFolder(model, context));
}

/** The same for a way back: the counter stays. */
export function commitRollback(model: string, context: WorkContext): Promise<PhaseFindings> {
  return tidy(model, context);
}

async function tidy(model: string, context: WorkContext, used?: string): Promise<PhaseFindings> {
  try {
    await new Slots(context.folders.models, model).collect();
    if (used !== undefined) await removeDurably(used);
    return {};
  } catch (error) {
    return { result: { notRemoved: messageOf(error) } };
  }
}
