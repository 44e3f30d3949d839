import { jobPhases, type JobDocument, type JobPhase } from '../../../contracts/job.ts';
import { Slots } from '../../../deploy/slots/slots.ts';
import type { PhaseFindings, PhaseHandler, PhaseInput } from '../phase-work.ts';
import { accept } from './accept.ts';
import { commitDeploy, commitRollback } from './commit.ts';
import type { WorkContext } from './context.ts';
import { fetchPackage, verifyPackage } from './fetch.ts';
import { needed, readFindings } from './findings.ts';
import { fit } from './fit.ts';
import { probe } from './probe.ts';
import { bench, collect, configure, selfcheck } from './reports.ts';
import { selfupdate } from './selfupdate.ts';
import { stage, type Wanted } from './stage.ts';
import { activate, rollBack } from './switch.ts';
import { wait } from './wait.ts';

const NOTHING: PhaseFindings = {};

/** The work of every phase, for all types of jobs. */
export function phaseHandlers(context: WorkContext): Readonly<Record<JobPhase, PhaseHandler>> {
  const handlers = { ...jobHandlers(context) };
  for (const phase of jobPhases) {
    const others = handlers[phase];
    handlers[phase] = async (input) => {
      const { document } = input;
      const isOther = document.jobType !== 'selfupdate' || phase === 'waiting';
      return isOther ? others(input) : selfupdate(phase, input, document, context);
    };
  }
  return handlers;
}

function jobHandlers(context: WorkContext): Readonly<Record<JobPhase, PhaseHandler>> {
  return {
    accepted: (input) => accept(input, context),
    waiting: async (input) => {
      const findings = await wait(input, context);
      return endsDry(input.document, 'waiting') ? { ...findings, done: 'dry_run_ok' } : findings;
    },
    downloading: (input) => fetchPackage(input, wantedOf(input), context),
    verifying: (input) => verifyPackage(input, wantedOf(input), context),
    fitting: async (input) => {
      const { document } = input;
      if (document.jobType === 'bench') return bench(input, document, context);
      if (document.jobType !== 'deploy' && document.jobType !== 'fit') return NOTHING;
      const findings = await fit(input, document, wantedOf(input), context);
      return endsDry(document, 'fitting') ? { ...findings, done: 'dry_run_ok' } : findings;
    },
    staged: (input) => stage(input, wantedOf(input), context),
    activating: (input) => activate(input, modelOf(input), context),
    probing: (input) => {
      const digest = needed(readFindings(input.data).digest, 'digest');
      const slots = new Slots(context.folders.models, modelOf(input));
      return probe(input, slots, digest, context);
    },
    committing: (input) => commit(input, context),
    rolling_back: (input) => rollBack(input, modelOf(input), context),
  };
}

async function commit(input: PhaseInput, context: WorkContext): Promise<PhaseFindings> {
  const { document } = input;
  switch (document.jobType) {
    case 'deploy':
    case 'fit':
      return commitDeploy(wantedOf(input), context);
    case 'rollback':
      return commitRollback(document.model.name, context);
    case 'config':
      return configure(document, context);
    case 'collect':
      return collect(document, context);
    case 'selfcheck':
      return selfcheck(input, context);
    case 'bench':
    case 'selfupdate':
    default:
      return NOTHING;
  }
}

/** The release a job is about: what it names, or what `accepted` found installed. */
function wantedOf({ document, data }: PhaseInput): Wanted {
  if (document.jobType === 'deploy') return document.model;
  return needed(readFindings(data).model, 'model');
}

function modelOf(input: PhaseInput): string {
  const { document } = input;
  return document.jobType === 'rollback' ? document.model.name : wantedOf(input).name;
}

/** A dry run ends with the last phase that changes nothing. */
function endsDry({ dryRun = false, jobType }: JobDocument, phase: JobPhase): boolean {
  if (!dryRun) return false;
  return phase === (jobType === 'deploy' || jobType === 'fit' ? 'fitting' : 'waiting');
}
