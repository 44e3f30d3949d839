import type { Rollout, RolloutCommand } from '../../contracts/rollout.ts';
import { Lane } from '../jobs/lane.ts';
import type { Signer } from '../protocol/signed.ts';
import { topicFor } from '../protocol/topics.ts';
import { ReportError } from '../report-error.ts';
import type { FleetLink } from '../roster/fleet-link.ts';
import { readFleetMessage, type SeenRecord } from '../roster/read.ts';
import { createRollout } from '../rollouts/commands.ts';
import { RolloutError } from '../rollouts/error.ts';
import { jobIdFor, withRecord, type Execution } from '../rollouts/execution.ts';
import { othersOf } from '../rollouts/others.ts';
import { revised, saysTheSame } from '../rollouts/record.ts';
import { hasEnded, type Change, type Fleet, type RolloutState } from '../rollouts/state.ts';
import { isHistory, isSettled, step } from '../rollouts/step.ts';
import { again, checkCounter, commanded, withAnswer } from './answers.ts';
import { ClockSteps, moveDeadlines } from './clock-steps.ts';
import { MAX_PATIENCE_MS, newCase, PATIENCE_MS, type Case } from './case.ts';
import { documentMessage, recordMessage, revOf } from './documents.ts';
import { keptEntries, Papers } from './papers.ts';
import type { Publisher } from './publisher.ts';
import { RefusedCreates } from './refused.ts';
import { Replaced } from './replaced.ts';
import { Retirement, RETENTION, type Retention } from './retention.ts';
import {
  entries,
  isPast,
  readCounters,
  readDocuments,
  readExecutions,
  readStates,
  type KeptDocument,
} from './store/rollouts.ts';
import type { Entry, Store } from './store/store.ts';
import type { ControllerTrust } from './trust.ts';

export interface DeskOptions {
  readonly store: Store;
  readonly epoch: number;
  readonly link: Pick<FleetLink, 'roster' | 'readRetained' | 'complete'>;
  readonly publisher: Publisher;
  readonly signer: Signer;
  readonly trust: Pick<ControllerTrust, 'release'>;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
  readonly now: () => number;
  /** The time by the devices' clocks; null: none was heard. */
  readonly fleetNow: () => number | null;
  /** Of rollouts that have ended. */
  readonly keep?: Retention | undefined;
}

type Release = Awaited<ReturnType<ControllerTrust['release']>>;
type Looked = PromiseSettledResult<Release | null>;

/** Records of one rollout are this far apart, unless its state changes. */
const TELL_MS = 1000;
/** Good ends of jobs of rollouts that are history, waiting for the next tick. */
const MAX_LATE = 1000;

/**
 * The work of the controller that leads, for one epoch: every change is worked out by pure functions,
 * kept in the store, and only then told to anybody. One thing after the other. A desk whose store
 * refuses a write is of no use any more: the next one begins with what is kept.
 */
export class Desk {
  readonly #options: DeskOptions;
  readonly #lane = new Lane();
  readonly #cases = new Map<string, Case>();
  /** Rollouts that are history, loaded when they are asked for. */
  readonly #history = new Map<string, RolloutState>();
  readonly #jobs = new Map<string, { readonly rolloutId: string; readonly deviceId: string }>();
  readonly #papers: Papers;
  readonly #refused: RefusedCreates;
  readonly #retirement: Retirement;
  readonly #clock: ClockSteps;
  readonly #replaced = new Replaced();
  readonly #late: SeenRecord[] = [];
  /** What it broke off with: from then on what it has in mind may not be what is kept. */
  #failure: { readonly error: unknown } | null = null;

  private constructor(options: DeskOptions, papers: Papers, refused: RefusedCreates) {
    this.#options = options;
    this.#papers = papers;
    this.#refused = refused;
    this.#retirement = new Retirement({ ...options, keep: options.keep ?? RETENTION });
    this.#clock = new ClockSteps(options.now);
  }

  /**
   * Takes up every rollout that is not finished. `recover` is to follow, when what devices say reaches
   * this desk. Throws StoreError.
   */
  static async open(options: DeskOptions): Promise<Desk> {
    const { store } = options;
    const papers = new Papers(options, await readCounters(store));
    const desk = new Desk(options, papers, await RefusedCreates.open(options));
    for (const state of await readStates(store)) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
      await desk.#load(state);
    }
    return desk;
  }

  states(): readonly RolloutState[] {
    return [...this.#history.values(), ...[...this.#cases.values()].map(({ state }) => state)];
  }

  /** What a device says of a job; kept with the next tick. */
  hear(record: SeenRecord): void {
    const known = this.#jobs.get(record.jobId);
    if (known === undefined) this.#noteLate(record);
    if (known?.deviceId !== record.deviceId) return;
    const one = this.#cases.get(known.rolloutId);
    const execution = one?.executions.get(known.deviceId);
    if (one === undefined || execution === undefined) return;
    const next = withRecord(execution, record);
    if (next === execution || this.#papers.judgeReplay(one, record) !== null) return;
    one.executions.set(known.deviceId, next);
    one.heard.add(known.deviceId);
    one.patienceMs = PATIENCE_MS;
    one.lookMs = performance.now() + PATIENCE_MS;
  }

  /** The card of a device has come, or was taken away. */
  hearCard(deviceId: string, isThere: boolean): void {
    this.#replaced.hearCard(this.#cases.values(), deviceId, isThere);
  }

  async #serveReplaced(): Promise<void> {
    const back = this.#replaced.back();
    if (back.size === 0) return;
    // oxlint-disable-next-line no-await-in-loop -- one write after the other
    for (const one of this.#cases.values()) await this.#papers.restoreFor(one, back);
    this.#replaced.served(back);
  }

  /** A job that was given up when its rollout was undone: what it has brought is to be undone, too. */
  #noteLate(record: SeenRecord): void {
    const { rolloutId, status, jobType } = record;
    if (status !== 'SUCCEEDED' || jobType !== 'deploy' || this.#late.length >= MAX_LATE) return;
    if (rolloutId === null || record.jobId !== jobIdFor(rolloutId, record.deviceId, 'deploy'))
      return;
    if (this.#history.get(rolloutId)?.undo === true) this.#late.push(record);
  }

  async #hearLate(): Promise<void> {
    for (const record of this.#late.splice(0)) {
      // oxlint-disable-next-line no-await-in-loop -- a few, of the same rollouts
      if ((await this.#find(record.rolloutId ?? '')) !== null) this.hear(record);
    }
  }

  #mindClock(): void {
    const stepMs = this.#clock.take();
    if (stepMs === 0) return;
    const seconds = Math.round(stepMs / 1000);
    this.#options.log.warn({ seconds }, 'the clock of this machine was set: deadlines move along');
    for (const one of this.#cases.values()) {
      const before = one.state.record;
      moveDeadlines(one, stepMs);
      const { record } = one.state;
      // Told under its next number, or the broker would keep the time from before.
      if (saysTheSame(record, before)) continue;
      one.state = { ...one.state, record: revised(record, before, this.#options.epoch) };
    }
  }

  /** Every rollout goes on by one step. Throws StoreError. */
  tick(): Promise<void> {
    return this.#alone(async () => {
      this.#mindClock();
      await this.#hearLate();
      await this.#serveReplaced();
      for (const [rolloutId, one] of this.#cases) {
        /* oxlint-disable no-await-in-loop -- one write after the other */
        await this.#lookWhenQuiet(one);
        await this.#papers.issueAgain(one);
        await this.#apply(one, step(this.#inputOf(one)));
        /* oxlint-enable no-await-in-loop */
        if (this.#isDone(one)) this.#archive(rolloutId, one);
      }
      await this.#retirement.step(this.#history);
    });
  }

  /**
   * Compares what is kept with what the broker has, after a new connection or a new lead: ends of jobs
   * that nobody has heard, and documents that never got there or are lost. Throws ReportError.
   */
  recover(): Promise<void> {
    return this.#alone(async () => {
      this.#options.publisher.drop();
      this.#retirement.forgetAsked();
      for (const one of this.#cases.values()) {
        /* oxlint-disable no-await-in-loop -- one rollout after the other */
        const spoken = await this.#hearKept(one);
        await this.#noteReplaced(one, spoken);
        await this.#papers.restore(one);
        one.told = null;
        /* oxlint-enable no-await-in-loop */
      }
      await this.#tellHistory();
    });
  }

  /** Reads the ends of jobs that nobody has heard, for whatever reason. Throws ReportError. */
  catchUp(): Promise<void> {
    return this.#alone(async () => {
      // oxlint-disable-next-line no-await-in-loop -- one rollout after the other
      for (const one of this.#cases.values()) await this.#hearKept(one);
    });
  }

  /** Does what an operator asks; the record as it is then. Throws RolloutError, StoreError. */
  async obey(rolloutId: string, asked: RolloutCommand): Promise<Rollout> {
    const name = asked.command;
    // Before it is its turn: nobody waits for a slow repository but who asked.
    const [release] = await Promise.allSettled([this.#releaseFor(rolloutId, asked)]);
    return this.#alone(async () => {
      if (name === 'plan') return this.#dryRun(rolloutId, asked, release);
      const known = await this.#find(rolloutId);
      const before = known?.state.answered.find(({ requestId }) => requestId === asked.requestId);
      if (known !== null && before !== undefined) return again(known, before.error);
      if (known !== null) checkCounter(known.state, asked);
      if (name === 'create') return this.#create(rolloutId, asked, known, release);
      if (known === null) {
        const text = (await isPast(this.#options.store, rolloutId))
          ? `${rolloutId} ended long ago and is not kept any more`
          : `there is no rollout ${rolloutId}`;
        throw new RolloutError('unknown_rollout', text);
      }
      const { change, error } = commanded(this.#inputOf(known), name, asked.reason);
      await this.#apply(known, withAnswer(change, asked, error));
      if (error !== null) throw error;
      return known.state.record;
    });
  }

  async #load(state: RolloutState): Promise<void> {
    const { rolloutId } = state.record;
    const documents = await readDocuments(this.#options.store, rolloutId);
    if (documents.size === 0 && isHistory(state)) {
      this.#history.set(rolloutId, state);
      return;
    }
    const executions = await readExecutions(this.#options.store, rolloutId);
    if (isSettled(state, executions) && documents.size === 0) this.#history.set(rolloutId, state);
    else this.#open(state, executions, documents).kept = JSON.stringify(state);
  }

  #open(
    state: RolloutState,
    executions: Map<string, Execution>,
    documents: Map<string, KeptDocument>,
  ): Case {
    const { rolloutId } = state.record;
    const one = newCase(state, executions, documents);
    this.#cases.set(rolloutId, one);
    this.#history.delete(rolloutId);
    this.#retirement.spare(rolloutId);
    for (const execution of executions.values()) this.#index(rolloutId, execution);
    return one;
  }

  #index(rolloutId: string, { deviceId, jobId, back }: Execution): void {
    this.#jobs.set(jobId, { rolloutId, deviceId });
    if (back !== null) this.#jobs.set(back.jobId, { rolloutId, deviceId });
  }

  async #find(rolloutId: string): Promise<Case | null> {
    const one = this.#cases.get(rolloutId);
    if (one !== undefined) return one;
    const state = this.#history.get(rolloutId);
    if (state === undefined) return null;
    const executions = await readExecutions(this.#options.store, rolloutId);
    const opened = this.#open(state, executions, new Map());
    opened.kept = JSON.stringify(state);
    return opened;
  }

  #inputOf({ state, executions }: Case) {
    const { link, signer, now } = this.#options;
    const fleet = fleetOf(link.roster);
    const { rolloutId, spec } = state.record;
    const others = othersOf(this.#cases.values(), rolloutId, spec.model.name);
    return { state, executions, fleet, others, nowMs: now(), keyId: signer.keyId };
  }

  /** The release of a command that makes a plan. Throws RolloutError. */
  async #releaseFor(rolloutId: string, asked: RolloutCommand): Promise<Release | null> {
    if (asked.command !== 'create' && asked.command !== 'plan') return null;
    const spec = asked.spec ?? this.#recordOf(rolloutId)?.spec;
    return spec === undefined ? null : this.#options.trust.release(spec.model);
  }

  #recordOf(rolloutId: string): Rollout | undefined {
    return (this.#cases.get(rolloutId)?.state ?? this.#history.get(rolloutId))?.record;
  }

  async #new(rolloutId: string, asked: RolloutCommand, release: Looked): Promise<Change> {
    const { link, signer, now } = this.#options;
    if (asked.spec === undefined) {
      throw new RolloutError('bad_spec', `spec: ${asked.command} needs one`);
    }
    if (!link.complete()) {
      const message = 'the fleet has not been read completely yet: ask again in a moment';
      throw new RolloutError('not_complete', message);
    }
    if (release.status === 'rejected') throw release.reason;
    return createRollout({
      rolloutId,
      spec: { ...asked.spec, model: release.value ?? asked.spec.model },
      fleet: fleetOf(link.roster),
      others: othersOf(this.#cases.values(), rolloutId, asked.spec.model.name),
      keyId: signer.keyId,
      nowMs: now(),
      actor: asked.actor ?? null,
      approve: asked.approve === true,
    });
  }

  async #create(
    rolloutId: string,
    asked: RolloutCommand,
    known: Case | null,
    release: Looked,
  ): Promise<Rollout> {
    if (known !== null) throw new RolloutError('exists', `there is a rollout ${rolloutId} already`);
    if (await isPast(this.#options.store, rolloutId)) {
      const text = `there was a rollout ${rolloutId}: devices know its jobs, use another id`;
      throw new RolloutError('exists', text);
    }
    this.#refused.check(rolloutId, asked);
    const planned = await this.#new(rolloutId, asked, release).catch(async (error: unknown) => {
      if (error instanceof RolloutError) await this.#refused.add(rolloutId, asked, error);
      throw error;
    });
    const change = withAnswer(planned, asked, null);
    const one = this.#open(change.state, new Map(), new Map());
    await this.#apply(one, change);
    return one.state.record;
  }

  /** What would become of it; nothing is kept. */
  async #dryRun(rolloutId: string, asked: RolloutCommand, release: Looked): Promise<Rollout> {
    const spec = asked.spec ?? this.#recordOf(rolloutId)?.spec;
    if (spec === undefined) {
      throw new RolloutError('unknown_rollout', `there is no rollout ${rolloutId}: give a spec`);
    }
    const { state } = await this.#new(rolloutId, { ...asked, spec }, release);
    return state.record;
  }

  /** Keeps a change, and then tells it. */
  async #apply(one: Case, change: Change): Promise<void> {
    const { store, epoch, publisher } = this.#options;
    const { rolloutId } = change.state.record;
    for (const execution of change.changed.values()) {
      one.executions.set(execution.deviceId, execution);
      this.#index(rolloutId, execution);
    }
    const touched = new Set([...change.changed.keys(), ...one.heard]);
    one.heard.clear();
    const record = saysTheSame(change.state.record, one.state.record)
      ? { ...change.state.record, rev: one.state.record.rev, ts: one.state.record.ts }
      : revised(change.state.record, one.state.record, epoch);
    one.state = { ...change.state, record };
    const stateText = JSON.stringify(one.state);
    const documents = change.issue.map((issue) => this.#papers.sign(one, issue));
    const put: Entry[] = [
      ...(stateText === one.kept ? [] : [entries.state(rolloutId, stateText)]),
      ...[...touched].flatMap((deviceId) => {
        const execution = one.executions.get(deviceId);
        return execution === undefined ? [] : [entries.execution(rolloutId, execution)];
      }),
      ...documents.flatMap(keptEntries),
    ];
    const remove = [...one.gone].map((jobId) => entries.documentKey(rolloutId, jobId));
    one.gone.clear();
    if (put.length + remove.length > 0) await store.write(epoch, { put, remove });
    one.kept = stateText;
    for (const { code, text } of change.events) {
      this.#options.log.info({ rolloutId, code }, text);
    }
    for (const document of documents) publisher.send(documentMessage(document));
    for (const { jobId } of change.clear) this.#papers.clear(one, jobId);
    for (const deviceId of touched) this.#papers.clearEnded(one, deviceId);
    this.#tell(one, performance.now());
  }

  #tell(one: Case, nowMs: number): void {
    const { record } = one.state;
    if (one.told?.rev === record.rev) return;
    if (one.told?.state === record.state && nowMs - one.toldMs < TELL_MS) return;
    one.told = record;
    one.toldMs = nowMs;
    this.#options.publisher.send(recordMessage(record));
  }

  /** Records of the past that the broker does not have as they were at last. */
  async #tellHistory(): Promise<void> {
    const staying = [...this.#history.values()].filter(
      ({ record }) => !this.#retirement.has(record.rolloutId),
    );
    const messages = staying.map(({ record }) => recordMessage(record));
    if (messages.length === 0) return;
    const there = await this.#options.link.readRetained(messages.map(({ topic }) => topic));
    const missing = messages.filter((one) => revOf(there.get(one.topic)) !== revOf(one.payload));
    for (const message of missing) this.#options.publisher.send(message);
  }

  async #lookWhenQuiet(one: Case): Promise<void> {
    const nowMs = performance.now();
    if (nowMs < one.lookMs) return;
    // Longer and longer, unless something is heard.
    const patienceMs = one.patienceMs;
    one.lookMs = nowMs + patienceMs;
    one.patienceMs = Math.min(MAX_PATIENCE_MS, 2 * patienceMs);
    await this.#hearKept(one);
  }

  /** Hears what the broker keeps of open jobs; topics of the records that are there. */
  async #hearKept(one: Case): Promise<ReadonlySet<string>> {
    const open = [...one.executions.values()].flatMap(({ deviceId, back, ...job }) =>
      [job, back]
        .filter((each) => each?.state === 'open')
        .map((each) => topicFor('execution', { device: deviceId, job: each?.jobId ?? '' })),
    );
    if (open.length === 0) return new Set();
    const kept = await this.#options.link.readRetained(open);
    for (const [topic, payload] of kept) {
      const message = readFleetMessage(topic, payload);
      if (message?.kind === 'record' && message.value !== null) this.hear(message.value);
    }
    return new Set(kept.keys());
  }

  /** Boards that were replaced while nobody looked: neither their job nor what they said of it is kept. */
  async #noteReplaced(one: Case, spoken: ReadonlySet<string>): Promise<void> {
    for (const deviceId of await this.#papers.swept(one, spoken)) {
      this.#replaced.hearCard([one], deviceId, false);
    }
  }

  #isDone(one: Case): boolean {
    if (!hasEnded(one.state.record) || one.heard.size + one.gone.size > 0) return false;
    const isTold = one.told?.rev === one.state.record.rev;
    return isTold && one.documents.size === 0 && isSettled(one.state, one.executions);
  }

  #archive(rolloutId: string, one: Case): void {
    if (this.#options.publisher.waiting > 0) return;
    for (const { jobId, back } of one.executions.values()) {
      this.#jobs.delete(jobId);
      if (back !== null) this.#jobs.delete(back.jobId);
    }
    this.#cases.delete(rolloutId);
    this.#history.set(rolloutId, one.state);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const leave = await this.#lane.enter();
    try {
      if (this.#failure !== null) throw this.#failure.error;
      return await work();
    } catch (error) {
      if (!isHarmless(error)) this.#failure ??= { error };
      throw error;
    } finally {
      leave();
    }
  }
}

/** Refusals change nothing, and what the broker does not give is asked for again. */
function isHarmless(error: unknown): boolean {
  return error instanceof RolloutError || error instanceof ReportError;
}

function fleetOf(roster: FleetLink['roster']): Fleet {
  return {
    get: (id) => roster.get(id),
    rows: () => roster.rows(),
    isRevoked: (id) => roster.isRevoked(id),
  };
}
