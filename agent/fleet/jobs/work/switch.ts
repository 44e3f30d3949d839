import { Slots } from '../../../deploy/slots/slots.ts';
import type { PhaseFindings, PhaseInput } from '../phase-work.ts';
import type { WorkContext } from './context.ts';
import { needed, readFindings } from './findings.ts';
import { tryOut } from './probe.ts';

/** Lets the release run: applications find it from now on. Done again after a crash it changes nothing. */
export async function activate(
  input: PhaseInput,
  model: string,
  context: WorkContext,
): Promise<PhaseFindings> {
  const digest = needed(readFindings(input.data).digest, 'digest');
  const slots = new Slots(context.folders.models, model);
  await slots.activate(digest);
  await context.onSwitched(model, await slots.read(digest), slots.currentLink);
  return {};
}

/**
 * Brings both links back to where they were, and tries out what runs then. A model that was the first
 * on this device is taken away again.
 */
export async function rollBack(
  input: PhaseInput,
  model: string,
  context: WorkContext,
): Promise<PhaseFindings> {
  const findings = readFindings(input.data);
  const before = needed(findings.before, 'before');
  const slots = new Slots(context.folders.models, model);
  await slots.restore(before, needed(findings.previousBefore, 'previousBefore'));
  if (before === null) {
    await context.onSwitched(model, null, slots.currentLink);
    return { result: { restored: null } };
  }
  const release = await slots.read(before);
  await context.onSwitched(model, release, slots.currentLink);
  await tryOut(slots, release, input.signal, context);
  return { result: { restored: release.version } };
}
