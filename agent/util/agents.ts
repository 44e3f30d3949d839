import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './durable.ts';
import { codeOf } from './errors.ts';

/**
 * The agents of a device that came by `selfupdate` jobs, beside the one that was installed:
 *
 *     agents/state.json          which one runs; replaced whole
 *     agents/releases/DIGEST/    an unpacked agent, never changed; named by its signed archive
 *
 * The launcher reads and counts here before every start, so this file needs nothing but Node.js.
 */
export interface AgentsState {
  readonly schema: 'edgefit/agents/1';
  /** The agent that runs; null is the installed one. */
  readonly current: string | null;
  /** What ran before, kept for the day that `current` cannot be read any more. */
  readonly previous: string | null;
  /** `current` is tried out: until it is committed its starts count. */
  readonly trial: Trial | null;
  /** The last one that did not make it. */
  readonly failed: FailedAgent | null;
  /** Version of the installed agent when `current` was chosen: another one is a newer decision. */
  readonly shipped: string;
}

export interface Trial {
  readonly jobId: string;
  readonly starts: number;
  /** Where the way back leads. */
  readonly before: string | null;
}

export interface FailedAgent {
  readonly jobId: string;
  readonly digest: string;
  readonly starts: number;
}

/** Starts that a new agent gets to commit itself. */
export const MAX_STARTS = 3;

/** What the launcher starts of an agent's folder. */
export const AGENT_MAIN = join('dist', 'agent', 'cli', 'main.js');

export function agentFolder(agents: string, digest: string): string {
  return join(agents, 'releases', digest);
}

/** Null before the first update. Throws system errors, and SyntaxError for a damaged file. */
export async function readAgents(agents: string): Promise<AgentsState | null> {
  try {
    const json: unknown = JSON.parse(await readFile(stateFile(agents), 'utf8'));
    if (isState(json)) return json;
    throw new SyntaxError(`${stateFile(agents)} is not edgefit/agents/1`);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Whether the agent that asks is one on trial, so that its end must be followed by another start. */
export async function isOnTrial(agents: string | undefined): Promise<boolean> {
  if (agents === undefined || agents === '') return false;
  const state = await readAgents(agents).catch(() => null);
  return state !== null && state.trial !== null;
}

/** On the disk when it resolves. Throws system errors. */
export async function writeAgents(agents: string, state: AgentsState): Promise<void> {
  await replaceFile(stateFile(agents), `${JSON.stringify(state)}\n`);
}

function stateFile(agents: string): string {
  return join(agents, 'state.json');
}

export interface Choice {
  /** The agent to start; null is the installed one. */
  readonly run: string | null;
  /** To be written before it starts; null when nothing changes. */
  readonly state: AgentsState | null;
}

/**
 * Which agent starts now. Pure. One on trial is counted, and after MAX_STARTS starts without a commit
 * the one before runs again. Whoever has installed another package since wants that one.
 */
export function chooseAgent(
  state: AgentsState,
  shipped: string,
  isThere: (digest: string) => boolean,
): Choice {
  const { current, previous, trial } = state;
  if (current === null) return { run: null, state: null };
  if (state.shipped !== shipped) return goBack(state, null, shipped);
  if (trial !== null && trial.starts >= MAX_STARTS) {
    return goBack(state, thereOrShipped(trial.before, isThere));
  }
  if (!isThere(current)) {
    return goBack(state, thereOrShipped(trial === null ? previous : trial.before, isThere));
  }
  if (trial === null) return { run: current, state: null };
  return { run: current, state: { ...state, trial: { ...trial, starts: trial.starts + 1 } } };
}

/** The state after the way back, and what runs then. */
export function goBack(state: AgentsState, to: string | null, shipped = state.shipped): Choice {
  const { current, trial } = state;
  const failed =
    trial === null || current === null
      ? state.failed
      : { jobId: trial.jobId, digest: current, starts: trial.starts };
  return {
    run: to,
    state: { ...state, current: to, previous: null, trial: null, failed, shipped },
  };
}

function thereOrShipped(digest: string | null, isThere: (digest: string) => boolean) {
  return digest !== null && isThere(digest) ? digest : null;
}

/**
 * Chooses and writes down; resolves to the folder of the agent to start. A start that cannot be counted
 * is none of the new agent: the one before runs. Throws what makes the state unreadable.
 */
export async function prepareStart(
  agents: string,
  installed: { readonly folder: string; readonly version: string },
): Promise<string> {
  const state = await readAgents(agents);
  if (state === null) return installed.folder;
  const isThere = (digest: string) => existsSync(join(agentFolder(agents, digest), AGENT_MAIN));
  const choice = chooseAgent(state, installed.version, isThere);
  let { run } = choice;
  try {
    if (choice.state !== null) await writeAgents(agents, choice.state);
  } catch {
    if (state.trial !== null) run = thereOrShipped(state.trial.before, isThere);
  }
  return run === null ? installed.folder : agentFolder(agents, run);
}

const DIGEST = /^[0-9a-f]{64}$/;

function isState(json: unknown): json is AgentsState {
  if (!isRecord(json) || json['schema'] !== 'edgefit/agents/1') return false;
  const { current, previous, trial, failed, shipped } = json;
  return (
    isDigestOrNull(current) &&
    isDigestOrNull(previous) &&
    typeof shipped === 'string' &&
    (trial === null || (isRecord(trial) && isCounted(trial) && isDigestOrNull(trial['before']))) &&
    (failed === null || (isRecord(failed) && isCounted(failed) && isDigestOrNull(failed['digest'])))
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isDigestOrNull(value: unknown): boolean {
  return value === null || (typeof value === 'string' && DIGEST.test(value));
}

function isCounted({ jobId, starts }: Readonly<Record<string, unknown>>): boolean {
  return typeof jobId === 'string' && Number.isSafeInteger(starts);
}
