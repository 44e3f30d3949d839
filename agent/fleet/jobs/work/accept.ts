import { Slots } from '../../../deploy/slots/slots.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import type { WorkContext } from './context.ts';
import type { Wanted } from './stage.ts';

/**
 * Whether the job makes sense here at all. Its signature, device and expiry were checked before it came
 * into the journal; they are checked against the present once more, a device may have been off for days.
 */
export async function accept(input: PhaseInput, context: WorkContext): Promise<PhaseFindings> {
  const { document } = input;
  await refuseExpired(document.expires, context);
  switch (document.jobType) {
    case 'deploy':
      return acceptDeploy(document.model, context);
    case 'rollback':
      return acceptRollback(document.model.name, context);
    case 'fit':
    case 'bench':
      return acceptInstalled(document.model.name, context);
    case 'selfupdate':
    // Not here: see selfupdate.ts.
    case 'config':
    case 'collect':
    case 'selfcheck':
    default:
      return document.dryRun === true ? { done: 'dry_run_ok' } : {};
  }
}

/** Throws PhaseError (`expired`). */
export async function refuseExpired(expires: string, { nowMs }: WorkContext): Promise<void> {
  if (Date.parse(expires) > (await nowMs())) return;
  throw new PhaseError('expired', `the job expired at ${expires}`);
}

async function acceptDeploy(model: Wanted, context: WorkContext): Promise<PhaseFindings> {
  if (context.repository === null) {
    throw new PhaseError('not_compatible', 'no repository is configured on this device');
  }
  const seen = context.counters.release(model.name);
  if (model.releaseCounter < seen) {
    const text = `release ${model.releaseCounter} of ${model.name} is older than ${seen}, which ran here`;
    throw new PhaseError('old_release', text);
  }
  const slots = new Slots(context.folders.models, model.name);
  const current = await slots.current();
  if (current === null) return {};
  const release = await slots.verify(current).catch(() => null);
  const installed =
    release?.version === model.version && release.releaseCounter === model.releaseCounter;
  return installed ? { done: 'noop_already_installed', result: { digest: current } } : {};
}

/** Only what this device has verified and run itself; anything else needs a new release. */
async function acceptRollback(name: string, context: WorkContext): Promise<PhaseFindings> {
  const slots = new Slots(context.folders.models, name);
  const [current, previous] = [await slots.current(), await slots.previous()];
  if (previous === null || previous === current) {
    throw new PhaseError('no_previous', `${name} has no version before the one that runs`);
  }
  const { version } = await slots.verify(previous);
  return {
    data: { digest: previous, before: current, previousBefore: previous },
    result: { version },
  };
}

async function acceptInstalled(name: string, context: WorkContext): Promise<PhaseFindings> {
  const slots = new Slots(context.folders.models, name);
  const current = await slots.current();
  if (current === null) throw new PhaseError('unknown_model', `${name} is not installed here`);
  const { version, releaseCounter } = await slots.verify(current);
  return { data: { model: { name, version, releaseCounter } } };
}
