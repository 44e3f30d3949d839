import type { RolloutSpec, Wave } from '../../contracts/rollout.ts';
import type { DeviceRow } from '../roster/row.ts';
import {
  handedOut,
  isGivenUp,
  isOver,
  jobIdFor,
  newExecution,
  NO_ANSWER,
  valuesBefore,
  type Execution,
} from './execution.ts';
import type { Executions, HandedOut } from './execution.ts';
import { compare, judgeComparison, judgeFailures } from './judge.ts';
import { isDone, type Others } from './others.ts';
import { whyLeft } from './plan.ts';
import { withTally } from './record.ts';
import { parseSelector } from './selector.ts';
import { EMPTY_WAVE, hasEnded, NEW_MEMO, Overlay } from './state.ts';
import type { Change, Fleet, Issue, RolloutEvent, RolloutState, WaveMemo } from './state.ts';
import { endedOf, tallyOf, type Tally } from './tally.ts';

export interface StepInput {
  readonly state: RolloutState;
  readonly executions: Executions;
  readonly fleet: Fleet;
  readonly others: Others;
  readonly nowMs: number;
  /** Of the key that jobs are signed with. */
  readonly keyId: string;
}

const MINUTE_MS = 60_000;
/** A job that nobody has spoken of is given up so long after its expiry. */
const SILENT_MS = 300_000;
/** One that a device works on may take so long beyond its expiry: the limits of all its phases. */
const WORKING_MS = 4 * 3_600_000;
/** How long the end of a job that was taken back is waited for. */
const TAKEN_BACK_SILENT_MS = 60_000;
const TAKEN_BACK_WORKING_MS = 3_600_000;
const LOOK_MS = 10_000;
/** Jobs in one step, so that a step stays short. */
const MAX_BATCH = 500;

const REPLACED = { code: 'replaced', text: 'a later release runs on the device' };
const OTHERS = { code: 'replaced', text: 'another rollout has taken the device' };

/** The next state of a rollout, and what is to be done. Pure; called again and again. */
export function step(input: StepInput): Change {
  return new Step(input).run();
}

/** One step: what it works on, and what it collects. */
class Step {
  readonly #input: StepInput;
  readonly #executions: Overlay;
  readonly #issue: Issue[] = [];
  readonly #clear: { deviceId: string; jobId: string }[] = [];
  readonly #events: RolloutEvent[] = [];
  #state: RolloutState;

  constructor(input: StepInput) {
    this.#input = input;
    this.#state = input.state;
    this.#executions = new Overlay(input.executions);
  }

  run(): Change {
    this.#endSilent();
    this.#findLate();
    this.#dropRevoked();
    if (this.#state.record.state === 'approved') this.#start();
    if (this.#state.record.state === 'running') {
      this.#join();
      this.#judge();
      // A wave that has nothing to wait for is followed at once by the next.
      for (let turns = 0; this.#isRunning() && this.#advance(); turns += 1) {
        if (turns > 4 * this.#state.record.waves.length) break;
      }
      if (this.#isRunning()) this.#handOut();
    }
    if (this.#state.undo) this.#undo();
    return this.change();
  }

  change(): Change {
    const { nowMs } = this.#input;
    const state = withTally(this.#state, this.#tally(), nowMs);
    return {
      state,
      changed: this.#executions.changed,
      issue: this.#issue,
      clear: this.#clear,
      events: this.#events,
    };
  }

  pause(code: string, text: string): void {
    this.#setRecord({ state: 'paused', reason: { code, text } });
    this.#events.push({ code, text });
  }

  /** Ends it: what has no job gets none, and open ones are taken back. */
  abort(code: string, text: string, undo: boolean): void {
    const { nowMs } = this.#input;
    const endedAt = new Date(nowMs).toISOString();
    this.#setRecord({ state: 'aborted', reason: { code, text }, endedAt });
    this.#state = { ...this.#state, undo };
    this.#events.push({ code, text });
    for (const execution of this.#executions.all()) {
      if (execution.state === 'pending') {
        this.#executions.set({ ...execution, state: 'canceled' });
      } else if (execution.state === 'open') {
        this.#takeBack(execution);
      }
    }
  }

  #takeBack(execution: Execution): void {
    const { deviceId, jobId, seq, deadlineMs } = execution;
    const patienceMs = seq === 0 ? TAKEN_BACK_SILENT_MS : TAKEN_BACK_WORKING_MS;
    const until = Math.min(deadlineMs ?? Infinity, this.#input.nowMs + patienceMs);
    this.#executions.set({ ...execution, deadlineMs: until });
    this.#clear.push({ deviceId, jobId });
  }

  #isRunning(): boolean {
    return this.#state.record.state === 'running';
  }

  #setRecord(part: Partial<RolloutState['record']>): void {
    this.#state = { ...this.#state, record: { ...this.#state.record, ...part } };
  }

  #setWave(index: number, part: Partial<Wave>, memo: Partial<WaveMemo> = {}): void {
    const waves = this.#state.record.waves.map((wave) =>
      wave.index === index ? { ...wave, ...part } : wave,
    );
    const memos = this.#state.memos.map((one, at) => (at === index ? { ...one, ...memo } : one));
    this.#state = { ...this.#state, memos };
    this.#setRecord({ waves });
  }

  #tally(): Tally {
    const { fleet, nowMs } = this.#input;
    return tallyOf(this.#executions.all(), this.#state.record.waves.length, fleet, nowMs);
  }

  /** Executions that nobody has ended are ended here: none stays open for ever. */
  #endSilent(): void {
    const { nowMs } = this.#input;
    const isAborted = this.#state.record.state === 'aborted';
    const reason = { code: NO_ANSWER, text: 'no end of the job was heard of in time' };
    const ended = isAborted ? 'canceled' : 'failed';
    for (const execution of this.#executions.all()) {
      const { deviceId, back } = execution;
      if (isLate(execution, isAborted ? 0 : WORKING_MS - SILENT_MS, nowMs)) {
        this.#executions.set({ ...execution, state: ended, reason });
        this.#clear.push({ deviceId, jobId: execution.jobId });
      }
      if (back !== null && isLate(back, WORKING_MS - SILENT_MS, nowMs)) {
        this.#executions.set({ ...execution, back: { ...back, state: 'failed', reason } });
        this.#clear.push({ deviceId, jobId: back.jobId });
      }
    }
  }

  /** Jobs that were given up and have come to a good end unheard: the device says that it runs it. */
  #findLate(): void {
    const { model } = this.#state.record.spec;
    for (const execution of this.#executions.all()) {
      if (!isGivenUp(execution) || execution.state === 'succeeded') continue;
      if (this.#input.fleet.isRevoked(execution.deviceId)) continue;
      if (this.#input.others.holder(execution.deviceId) !== null) {
        // What runs there from now on is the other one's doing: to undo it would undo that.
        this.#executions.set({ ...execution, reason: OTHERS });
        continue;
      }
      if (!runsRelease(this.#input.fleet.get(execution.deviceId), model)) continue;
      this.#executions.set({ ...execution, state: 'succeeded', reason: null });
    }
  }

  /** Devices that were shut out get nothing, and are waited for no longer. */
  #dropRevoked(): void {
    const reason = { code: 'revoked', text: 'the device was shut out' };
    for (const execution of this.#executions.all()) {
      const { deviceId, jobId, back } = execution;
      if (!this.#input.fleet.isRevoked(deviceId)) continue;
      if (!isOver(execution)) {
        this.#executions.set({ ...execution, state: 'canceled', reason });
        this.#clear.push({ deviceId, jobId });
      }
      if (back === null && this.#state.undo && execution.state === 'succeeded') {
        const job = handedOut(jobIdFor(this.#state.record.rolloutId, deviceId, 'rollback'));
        this.#executions.set({ ...execution, back: { ...job, state: 'canceled', reason } });
      }
      if (back !== null && !isOver(back)) {
        this.#executions.set({ ...execution, back: { ...back, state: 'canceled', reason } });
        this.#clear.push({ deviceId, jobId: back.jobId });
      }
    }
  }

  #start(): void {
    const startedAt = new Date(this.#input.nowMs).toISOString();
    this.#setRecord({ state: 'running', startedAt, reason: null });
    this.#beginWave(0);
  }

  #beginWave(index: number): void {
    const startedAt = new Date(this.#input.nowMs).toISOString();
    this.#setWave(index, { state: 'running', startedAt });
    this.#setRecord({ wave: index });
    const text = `wave ${index + 1} of ${this.#state.record.waves.length} begins`;
    this.#events.push({ code: 'wave_started', text });
  }

  /** Devices that have appeared, or are free again, and fit join the last wave, if it goes to everybody. */
  #join(): void {
    const { nowMs } = this.#input;
    const { record, lookedMs } = this.#state;
    const index = this.#joinable();
    if (!record.spec.lateJoiners || index === null) return;
    if (Math.abs(nowMs - lookedMs) < LOOK_MS) return;
    this.#state = { ...this.#state, lookedMs: nowMs };
    const joiners = this.#joiners();
    if (joiners.length > 0 && index === record.waves.length) this.#addLastWave(index);
    for (const row of joiners) {
      this.#executions.set(newExecution(record.rolloutId, row, index));
    }
  }

  /**
   * The wave that takes late joiners, null when it is too late. Where canaries or an earlier wave were
   * everybody there was, the plan has no wave of 100 %: the next one is made for who comes.
   */
  #joinable(): number | null {
    const { waves, spec } = this.#state.record;
    const last = waves.at(-1);
    if (last === undefined || spec.waves.at(-1) !== 100) return null;
    const isOpen = last.state === 'scheduled' || last.state === 'running';
    if (last.percent === 100) return isOpen ? last.index : null;
    return isOpen || last.state === 'soaking' ? waves.length : null;
  }

  #joiners(): readonly DeviceRow[] {
    const { fleet, others, keyId } = this.#input;
    const { spec } = this.#state.record;
    const selects = parseSelector(spec.where);
    const isNew = (row: DeviceRow) =>
      this.#executions.get(row.deviceId) === undefined && row.class !== '' && selects(row);
    return [...fleet.rows()].filter(
      (row) =>
        isNew(row) &&
        whyLeft(row, spec, keyId) === null &&
        others.holder(row.deviceId) === null &&
        // Another rollout may have brought it there meanwhile.
        !this.#isReplaced(row.deviceId),
    );
  }

  #addLastWave(index: number): void {
    const { waves } = this.#state.record;
    const wave: Wave = { ...EMPTY_WAVE, index, kind: 'percent', percent: 100 };
    this.#state = { ...this.#state, memos: [...this.#state.memos, NEW_MEMO] };
    this.#setRecord({ waves: [...waves, wave] });
  }

  /** A wave with too many failures stops the rollout, also one that had passed. */
  #judge(): void {
    const tally = this.#tally();
    for (const [index, wave] of this.#state.record.waves.entries()) {
      if (wave.state === 'scheduled' || wave.state === 'failed') continue;
      const [counts, memo] = [tally.waves[index], this.#state.memos[index]];
      if (counts === undefined || memo === undefined) continue;
      const why = judgeFailures(counts, wave.kind, this.#state.record.spec, memo);
      if (why === null) continue;
      this.#failWave(wave, why);
      return;
    }
  }

  #failWave(wave: Wave, why: string): void {
    const { nowMs } = this.#input;
    const stoppedAt = this.#tally().waves[wave.index]?.judged ?? null;
    const stoppedIn = wave.state === 'running' || wave.state === 'soaking' ? wave.state : 'passed';
    const endedAt = new Date(nowMs).toISOString();
    this.#setWave(wave.index, { state: 'failed', verdict: why, endedAt }, { stoppedAt, stoppedIn });
    const { onFailed } = this.#state.record.spec;
    const text = `wave ${wave.index + 1}: ${why}`;
    if (onFailed === 'pause') this.pause('wave_failed', text);
    else this.abort('wave_failed', text, onFailed === 'rollback');
  }

  /** One transition of the wave under way; true when there was one. */
  #advance(): boolean {
    const { record } = this.#state;
    const wave = record.waves[record.wave ?? 0];
    if (wave === undefined) return false;
    if (wave.state === 'running') return this.#soak(wave);
    if (wave.state === 'soaking') return this.#pass(wave);
    const next = record.waves.find(({ state }) => state === 'scheduled');
    if (next !== undefined) {
      this.#beginWave(next.index);
      return true;
    }
    return this.#complete();
  }

  /** Everybody who is there has ended: the wave is watched for a while. */
  #soak({ index, kind }: Wave): boolean {
    const tally = this.#tally().waves[index];
    if (tally === undefined || tally.counts.pending > 0 || tally.busy > 0) return false;
    const { classes, counts, judged } = tally;
    const isTried =
      kind === 'canary'
        ? [...classes.values()].every(
            ({ ended, targets, canceled }) => ended > 0 || canceled === targets,
          )
        : judged.ended > 0 || counts.open === 0;
    if (!isTried) return false;
    this.#setSoak(index);
    return true;
  }

  #setSoak(index: number): void {
    const untilMs = this.#input.nowMs + this.#state.record.spec.soakSeconds * 1000;
    this.#setWave(index, { state: 'soaking', soakUntil: new Date(untilMs).toISOString() });
  }

  #pass(wave: Wave): boolean {
    const { fleet, nowMs } = this.#input;
    const { spec } = this.#state.record;
    const restMs = wave.soakUntil === null ? 0 : Date.parse(wave.soakUntil) - nowMs;
    // A clock that was set back must not make a wave wait for as long.
    if (restMs > spec.soakSeconds * 1000) this.#setSoak(wave.index);
    if (restMs > 0) return false;
    const own = [...this.#executions.all()].filter((one) => one.wave === wave.index);
    const compared = compare(own, spec, fleet);
    const why = judgeComparison(compared, spec);
    this.#setWave(wave.index, { compared });
    if (why !== null && this.#state.memos[wave.index]?.waived !== true) {
      this.#failWave({ ...wave, compared }, why);
      return true;
    }
    const counts = this.#tally().waves[wave.index]?.counts ?? wave.counts;
    const verdict = `${counts.succeeded} of ${endedOf(counts)} succeeded`;
    const endedAt = new Date(nowMs).toISOString();
    this.#setWave(wave.index, { state: 'passed', verdict, endedAt });
    this.#events.push({ code: 'wave_passed', text: `wave ${wave.index + 1}: ${verdict}` });
    return true;
  }

  /** Complete when every wave has passed and every job has ended. */
  #complete(): boolean {
    const { pending, open, succeeded, targets } = this.#tally().counts;
    if (pending + open > 0) return false;
    const text = `${succeeded} of ${targets} succeeded`;
    const endedAt = new Date(this.#input.nowMs).toISOString();
    this.#setRecord({ state: 'completed', reason: { code: 'completed', text }, endedAt });
    this.#events.push({ code: 'completed', text });
    return false;
  }

  #handOut(): void {
    const { record } = this.#state;
    let allowed = this.#allowed();
    const current = record.waves[record.wave ?? 0];
    for (const execution of this.#executions.all()) {
      if (allowed === 0) break;
      if (execution.state !== 'pending' || current?.state !== 'running') continue;
      if (execution.wave > current.index) continue;
      const { deviceId, wave, jobId } = execution;
      if (this.#input.others.isAtWork(deviceId)) continue;
      const row = this.#input.fleet.get(deviceId);
      const before = row === undefined ? null : valuesBefore(row, record.spec.model.name);
      this.#executions.set({ ...this.#opened(execution), before });
      this.#issue.push({ deviceId, jobId, kind: 'deploy', wave });
      allowed -= 1;
    }
    this.#noteIssued();
  }

  #undo(): void {
    const { rolloutId } = this.#state.record;
    let allowed = this.#allowed();
    for (const execution of this.#executions.all()) {
      const { state, deviceId, wave } = execution;
      if (state !== 'succeeded' || allowed === 0) continue;
      if (this.#input.fleet.isRevoked(deviceId)) continue;
      const back = execution.back ?? handedOut(jobIdFor(rolloutId, deviceId, 'rollback'));
      if (back.state !== 'pending' || this.#input.others.isAtWork(deviceId)) continue;
      if (this.#isReplaced(deviceId)) {
        this.#executions.set({
          ...execution,
          back: { ...back, state: 'canceled', reason: REPLACED },
        });
        continue;
      }
      this.#executions.set({ ...execution, back: this.#opened(back) });
      this.#issue.push({ deviceId, jobId: back.jobId, kind: 'rollback', wave });
      allowed -= 1;
    }
    this.#noteIssued();
  }

  /** Whether a later release runs there by now: going back from that would bring this one back. */
  #isReplaced(deviceId: string): boolean {
    const { name, releaseCounter } = this.#state.record.spec.model;
    const model = this.#input.fleet.get(deviceId)?.model;
    if (model?.name !== name || releaseCounter === undefined) return false;
    return model.releaseCounter > releaseCounter;
  }

  #opened<T extends HandedOut>(job: T): T {
    const { nowMs } = this.#input;
    const deadlineMs = nowMs + this.#state.record.spec.jobSeconds * 1000 + SILENT_MS;
    return { ...job, state: 'open', issuedMs: nowMs, deadlineMs };
  }

  /** Jobs that may be handed out now, so that no minute sees more than the rate. */
  #allowed(): number {
    const { issued, record } = this.#state;
    const { nowMs } = this.#input;
    const recent = issued
      // A clock that was set back: they were handed out a moment ago at the latest.
      .map(({ atMs, count }) => ({ atMs: Math.min(atMs, nowMs), count }))
      .filter(({ atMs }) => nowMs - atMs < MINUTE_MS);
    const spent = recent.reduce((sum, { count }) => sum + count, 0);
    this.#state = { ...this.#state, issued: recent };
    return Math.max(0, Math.min(MAX_BATCH, record.spec.ratePerMinute - spent));
  }

  #noteIssued(): void {
    const { nowMs } = this.#input;
    const count = this.#issue.length;
    if (count === 0) return;
    const { issued } = this.#state;
    const others = issued.filter(({ atMs }) => atMs !== nowMs);
    const same = issued.filter(({ atMs }) => atMs === nowMs);
    const sum = same.reduce((all, one) => all + one.count, count);
    this.#state = { ...this.#state, issued: [...others, { atMs: nowMs, count: sum }] };
  }
}

function runsRelease(row: DeviceRow | undefined, release: RolloutSpec['model']): boolean {
  const { name, version, releaseCounter } = release;
  const model = row?.model;
  if (model?.name !== name || model.version !== version) return false;
  return releaseCounter === undefined || model.releaseCounter === releaseCounter;
}

function isLate(job: HandedOut, workingMs: number, nowMs: number): boolean {
  if (job.state !== 'open' || job.deadlineMs === null) return false;
  return nowMs >= job.deadlineMs + (job.seq === 0 ? 0 : workingMs);
}

/** Whether nothing more can happen: what is left of it is history. */
export function isSettled(state: RolloutState, executions: Executions): boolean {
  if (!hasEnded(state.record)) return false;
  for (const execution of executions.values()) {
    if (!isDone(state, execution)) return false;
  }
  return true;
}

/** Whether a state alone says that it is settled: nobody has to read thousands of executions for it. */
export function isHistory({ record, undo }: RolloutState): boolean {
  return hasEnded(record) && !undo && record.counts.pending + record.counts.open === 0;
}

/** For commands: a step that has not run yet. */
export function beginStep(input: StepInput): Step {
  return new Step(input);
}
