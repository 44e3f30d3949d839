import { Slots } from '../../../deploy/slots/slots.ts';
import { removeDurably } from '../../../util/durable.ts';
import { messageOf } from '../../../util/errors.ts';
import type { PhaseFindings, PhaseInput } from '../runner.ts';
import type { WorkContext } from './context.ts';
import { readFindings } from './findings.ts';
import type { Wanted } from './stage.ts';

/**
 * Says that the new release is good: from now on no older one is deployed here. Then removes what is
 * not needed any more; that this fails is no reason to go back to the old model.
 */
export async function commitDeploy(
  input: PhaseInput,
  model: Wanted,
  context: WorkContext,
): Promise<PhaseFindings> {
  await context.counters.raiseRelease(model.name, model.releaseCounter);
  return commitSwitch(input, model.name, context);
}

/** The same for a way back: the counter stays. */
export async function commitSwitch(
  input: PhaseInput,
  model: string,
  context: WorkContext,
): Promise<PhaseFindings> {
  try {
    await new Slots(context.folders.models, model).collect();
    const { package: folder } = readFindings(input.data);
    if (folder !== undefined) await removeDurably(folder);
    return {};
  } catch (error) {
    return { result: { notRemoved: messageOf(error) } };
  }
}
