import {
  rolloutSpecSchema,
  type Rollout,
  type RolloutSpec,
  type RolloutSpecInput,
} from '../../../agent/contracts/rollout.ts';
import { command, createRollout } from '../../../agent/fleet/rollouts/commands.ts';
import { withRecord, type Execution } from '../../../agent/fleet/rollouts/execution.ts';
import { NO_OTHERS, othersOf, type Others } from '../../../agent/fleet/rollouts/others.ts';
import type { Change, Fleet, Issue, RolloutState } from '../../../agent/fleet/rollouts/state.ts';
import { step } from '../../../agent/fleet/rollouts/step.ts';
import type { SeenRecord } from '../../../agent/fleet/roster/read.ts';
import { emptyRow, type DeviceRow } from '../../../agent/fleet/roster/row.ts';

export const START_MS = Date.parse('2026-03-01T12:00:00.000Z');
export const KEY = 'k'.repeat(64);

export function row(deviceId: string, part: Partial<DeviceRow> = {}): DeviceRow {
  return {
    ...emptyRow(deviceId),
    state: 'online',
    session: 1,
    lastSeenMs: START_MS,
    class: 'rpi-5',
    jobTypes: ['deploy', 'rollback'],
    keyIds: [KEY],
    ...part,
  };
}

export const rows = (count: number, part: Partial<DeviceRow> = {}): DeviceRow[] =>
  Array.from({ length: count }, (_, at) => row(`d${String(at).padStart(4, '0')}`, part));

export function spec(part: Partial<RolloutSpecInput> = {}): RolloutSpec {
  return rolloutSpecSchema.parse({
    model: { name: 'kws', version: '2', releaseCounter: 2 },
    soakSeconds: 0,
    canaryPerClass: 0,
    waves: [100],
    ...part,
  });
}

/** A rollout over invented devices, with a clock and answers that the test gives. */
export class Trial {
  readonly fleet: Map<string, DeviceRow> = new Map();
  readonly executions = new Map<string, Execution>();
  readonly issued: Issue[] = [];
  readonly cleared: string[] = [];
  readonly revoked = new Set<string>();
  nowMs = START_MS;
  state: RolloutState;
  others: () => Others = () => NO_OTHERS;

  /** `beside` another, over the devices of that one as well. */
  constructor(
    devices: readonly DeviceRow[],
    part: Partial<RolloutSpecInput> = {},
    { rolloutId = 'r1', beside }: { readonly rolloutId?: string; readonly beside?: Trial } = {},
  ) {
    if (beside !== undefined) {
      this.fleet = beside.fleet;
      this.others = () => othersOf([this, beside], rolloutId, this.record.spec.model.name);
      this.nowMs = beside.nowMs;
    }
    for (const device of devices) this.fleet.set(device.deviceId, device);
    const wanted = spec(part);
    const known = beside === undefined ? [] : [beside];
    const change = createRollout({
      rolloutId,
      spec: wanted,
      fleet: this.#lookup(),
      others: othersOf(known, rolloutId, wanted.model.name),
      keyId: KEY,
      nowMs: this.nowMs,
      actor: 'ann',
      approve: true,
    });
    this.state = change.state;
    this.#take(change);
    if (beside === undefined) return;
    beside.others = () => othersOf([this, beside], beside.record.rolloutId, 'kws');
  }

  get record(): Rollout {
    return this.state.record;
  }

  #input() {
    const { state, executions, nowMs } = this;
    const others = this.others();
    return { state, executions, fleet: this.#lookup(), others, nowMs, keyId: KEY };
  }

  #lookup(): Fleet {
    return {
      get: (id) => this.fleet.get(id),
      rows: () => this.fleet.values(),
      isRevoked: (id) => this.revoked.has(id),
    };
  }

  #take(change: Change): Change {
    this.state = change.state;
    for (const [id, execution] of change.changed) this.executions.set(id, execution);
    this.issued.push(...change.issue);
    this.cleared.push(...change.clear.map(({ jobId }) => jobId));
    return change;
  }

  step(seconds = 1): Change {
    this.nowMs += seconds * 1000;
    return this.#take(step(this.#input()));
  }

  command(name: Parameters<typeof command>[1], reason?: string) {
    const { change, error } = command(this.#input(), name, reason);
    this.#take(change);
    return error;
  }

  /** A device says how its job is; of the job that undoes one with `back`. */
  says(deviceId: string, status: SeenRecord['status'], more: Partial<SeenRecord> = {}): void {
    const execution = this.executions.get(deviceId);
    if (execution === undefined) throw new Error(`${deviceId} is no target`);
    const job = execution.back ?? execution;
    const record: SeenRecord = {
      deviceId,
      jobId: job.jobId,
      jobType: 'deploy',
      rolloutId: 'r1',
      digest: null,
      seq: job.seq + 1,
      status,
      phase: 'fitting',
      outcome: null,
      reason: null,
      progress: null,
      result: null,
      ts: '',
      ...more,
    };
    this.executions.set(deviceId, withRecord(execution, record));
  }

  /** The device runs the release now, with these values. */
  succeeds(deviceId: string, part: Partial<DeviceRow> = {}): void {
    const { name, version, releaseCounter = 2 } = this.record.spec.model;
    const model = { name, version, precision: 'int8', digest: '', releaseCounter };
    this.fleet.set(deviceId, { ...(this.fleet.get(deviceId) ?? row(deviceId)), model, ...part });
    this.says(deviceId, 'SUCCEEDED', { outcome: 'applied' });
  }

  open(): string[] {
    return [...this.executions.values()]
      .filter(({ state }) => state === 'open')
      .map(({ deviceId }) => deviceId);
  }

  waves(): string[] {
    return this.record.waves.map(({ state }) => state);
  }
}
