import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobPhase, SelfupdateJob } from '../../../contracts/job.ts';
import { Slots } from '../../../deploy/slots/slots.ts';
import { goBack, readAgents, writeAgents, type AgentsState } from '../../../util/agents.ts';
import { removeDurably } from '../../../util/durable.ts';
import { messageOf } from '../../../util/errors.ts';
import { makeFolderDurably } from '../../../util/files.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import { refuseExpired } from './accept.ts';
import {
  archivePath,
  fetchAgent,
  removeUnfinished,
  stageAgent,
  verifyAgent,
} from './agent-package.ts';
import { mustEndWell } from './child.ts';
import type { SelfUpdate, WorkContext } from './context.ts';
import { needed, readFindings } from './findings.ts';
import { tryOut } from './probe.ts';
import { pause } from './wait.ts';

/**
 * The agent replaces itself. The job goes over a restart: the old agent activates and ends, the new one
 * finds the job in its journal, proves itself and commits. Until then the launcher counts its starts and
 * goes back after three; then it is the old agent that finds the job, and fails it.
 */
export async function selfupdate(
  phase: JobPhase,
  input: PhaseInput,
  document: SelfupdateJob,
  context: WorkContext,
): Promise<PhaseFindings> {
  if (context.selfUpdate === null) throw new PhaseError('unsupported', NO_LAUNCHER);
  const self = context.selfUpdate;
  switch (phase) {
    case 'accepted':
      return accept(document, self, context);
    case 'downloading':
      return fetchAgent(input, document, self, context);
    case 'verifying':
      return verifyAgent(input, document, self, context);
    case 'staged':
      return stageAgent(input, document, self, context);
    case 'activating':
      return activate(input, document, self);
    case 'probing':
      return prove(input, document, self, context);
    case 'committing':
      return commit(input, document, self, context);
    case 'rolling_back':
      return rollBack(input, document, self);
    case 'waiting':
    case 'fitting':
    default:
      return {};
  }
}

const NO_LAUNCHER =
  'nobody would start the old agent again: this one was not started by the launcher as a service ' +
  '(edgefit.service of the Debian package or of install.sh does that)';

const ONLINE_POLL_MS = 200;

/** Among the counters of releases; no model can be called so. */
const COUNTER = 'agent/';

async function accept(
  { agent, expires }: SelfupdateJob,
  self: SelfUpdate,
  context: WorkContext,
): Promise<PhaseFindings> {
  await refuseExpired(expires, context);
  if (context.repository === null) {
    throw new PhaseError('not_compatible', 'no repository is configured on this device');
  }
  const seen = context.counters.release(COUNTER);
  if (agent.releaseCounter < seen) {
    const text = `release ${agent.releaseCounter} of the agent is older than ${seen}, which ran here`;
    throw new PhaseError('old_release', text);
  }
  if (agent.version !== self.version) return {};
  return { done: 'noop_already_installed', result: { version: self.version } };
}

/** Puts the new agent in force, on trial, and ends this one. */
async function activate(
  { data, signal }: PhaseInput,
  { jobId }: SelfupdateJob,
  self: SelfUpdate,
): Promise<PhaseFindings> {
  const digest = needed(readFindings(data).digest, 'digest');
  if (self.running === digest) return {};
  const state = await stateOf(self);
  refuseFailed(state, jobId);
  await makeFolderDurably(self.folder);
  await writeAgents(self.folder, {
    ...state,
    current: digest,
    previous: self.running,
    trial: { jobId, starts: 0, before: self.running },
    failed: null,
    shipped: self.running === null ? self.version : state.shipped,
  });
  return restart('the new agent takes over', self, signal);
}

/** Only the new agent gets through here: it works, its children work, and the broker hears it. */
async function prove(
  { data, signal }: PhaseInput,
  { jobId, agent }: SelfupdateJob,
  self: SelfUpdate,
  context: WorkContext,
): Promise<PhaseFindings> {
  const digest = needed(readFindings(data).digest, 'digest');
  refuseFailed(await stateOf(self), jobId);
  refuseOther(self, digest);
  const run = await context.runAgent(['--version'], signal);
  mustEndWell('a child of the new agent', run);
  await tryModels(signal, context);
  await untilOnline(self, signal);
  return { result: { version: agent.version } };
}

/** Or until the phase's time is over: the job came by the broker, so the old agent reached it. */
async function untilOnline(self: SelfUpdate, signal: AbortSignal): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- see above
  while (!self.online()) await pause(ONLINE_POLL_MS, signal);
}

/** What was deployed here must run under the new agent, too. */
async function tryModels(signal: AbortSignal, context: WorkContext): Promise<void> {
  const { models } = context.folders;
  if (!existsSync(models)) return;
  for (const name of await readdir(models)) {
    /* oxlint-disable no-await-in-loop -- one model after the other */
    const slots = new Slots(models, name);
    const current = await slots.current();
    if (current !== null) await tryOut(slots, await slots.verify(current), signal, context);
    /* oxlint-enable no-await-in-loop */
  }
}

/** From now on nothing older is installed here, and starts are not counted any more. */
async function commit(
  { data }: PhaseInput,
  { jobId, agent }: SelfupdateJob,
  self: SelfUpdate,
  context: WorkContext,
): Promise<PhaseFindings> {
  const digest = needed(readFindings(data).digest, 'digest');
  const state = await stateOf(self);
  refuseFailed(state, jobId);
  refuseOther(self, digest);
  if (state.trial !== null) await writeAgents(self.folder, { ...state, trial: null });
  await context.counters.raiseRelease(COUNTER, agent.releaseCounter);
  // The update holds from here on: a slow card must not undo it by running out of the phase's time.
  const late = { result: { notRemoved: 'old agents are still being removed' } };
  const tidied = tidy(self, [state.current, state.previous]);
  return Promise.race([tidied, sleep(TIDY_MS, late, { ref: false })]);
}

/** Back to the agent before; it is that one which ends the job. */
async function rollBack(
  { data, signal }: PhaseInput,
  { jobId }: SelfupdateJob,
  self: SelfUpdate,
): Promise<PhaseFindings> {
  const { digest, before = null } = readFindings(data);
  const state = await stateOf(self);
  const isInForce = digest !== undefined && state.current === digest;
  if (isInForce) {
    const onTrial = state.trial ?? { jobId, starts: 0, before };
    const back = goBack({ ...state, trial: onTrial }, onTrial.before).state;
    if (back !== null) await writeAgents(self.folder, back);
  }
  if (self.running === digest) return restart('back to the agent before', self, signal);
  const tidied = await tidy(self, [self.running, state.current]);
  return { result: { ...tidied.result, restored: self.version } };
}

/** Never resolves: the job goes on with the next start. Throws the signal's reason. */
async function restart(why: string, self: SelfUpdate, signal: AbortSignal): Promise<PhaseFindings> {
  self.restart(why);
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

async function stateOf({ folder, version }: SelfUpdate): Promise<AgentsState> {
  const known = await readAgents(folder).catch((error: unknown) => {
    // Damaged: the launcher starts the installed agent then, as if there were none.
    if (error instanceof SyntaxError) return null;
    throw error;
  });
  const none = { current: null, previous: null, trial: null, failed: null };
  return known ?? { schema: 'edgefit/agents/1', ...none, shipped: version };
}

/** The launcher has gone back already. */
function refuseFailed({ failed }: AgentsState, jobId: string): void {
  if (failed?.jobId !== jobId) return;
  const text = `the new agent was started ${failed.starts} times and never got as far as to commit`;
  throw new PhaseError('agent_failed', text);
}

function refuseOther({ running, version }: SelfUpdate, digest: string): void {
  if (running === digest) return;
  throw new PhaseError('agent_failed', `agent ${version} runs, not the new one`);
}

/** Longest wait for old agents to be removed; half of what the phase has. */
const TIDY_MS = 15_000;

/** Removes what is not needed; that this fails is no reason to go back. */
async function tidy(self: SelfUpdate, keep: readonly (string | null)[]): Promise<PhaseFindings> {
  try {
    const releases = join(self.folder, 'releases');
    for (const name of existsSync(releases) ? await readdir(releases) : []) {
      // oxlint-disable-next-line no-await-in-loop -- two or three
      if (!keep.includes(name)) await removeDurably(join(releases, name));
    }
    if (existsSync(self.folder)) await removeUnfinished(self);
    await removeDurably(archivePath(self));
    return {};
  } catch (error) {
    return { result: { notRemoved: messageOf(error) } };
  }
}
