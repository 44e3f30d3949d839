import { createHash } from 'node:crypto';
import type { Rollout, RolloutSpec } from '../../contracts/rollout.ts';
import { messageOf } from '../../util/errors.ts';
import { checkWindow } from '../jobs/window.ts';
import type { DeviceRow } from '../roster/row.ts';
import { RolloutError } from './error.ts';
import { newExecution, type Execution } from './execution.ts';
import type { Others } from './others.ts';
import { parseSelector } from './selector.ts';

export interface PlanInput {
  readonly rolloutId: string;
  readonly spec: RolloutSpec;
  readonly rows: Iterable<DeviceRow>;
  readonly others: Pick<Others, 'holder'>;
  /** Of the key that jobs are signed with: who does not know it would refuse them. */
  readonly keyId: string;
}

export interface PlannedWave {
  readonly kind: 'canary' | 'percent';
  readonly percent: number | null;
}

export interface Plan {
  readonly waves: readonly PlannedWave[];
  readonly executions: readonly Execution[];
  readonly left: Rollout['left'];
}

const MAX_EXAMPLES = 5;
/** The record must stay a message, however many rollouts there are. */
const MAX_HOLDERS = 10;
const HELD = 'in_another_rollout';

/** Why a selected device is no target; null: it is one. */
export function whyLeft(row: DeviceRow, spec: RolloutSpec, keyId: string): string | null {
  const { model } = row;
  if (row.cloned) return 'cloned';
  if (model?.name === spec.model.name && model.version === spec.model.version) {
    return 'already_installed';
  }
  if (!row.jobTypes.includes('deploy')) return 'takes_no_deploy_jobs';
  if (!row.keyIds.includes(keyId)) return 'does_not_know_the_key';
  return null;
}

/**
 * Who gets the release, and in which wave. The same devices give the same plan: canaries of each
 * hardware class first, those that are online before others, then the rest in an order by hash.
 * Throws RolloutError for a selector or waves that make no sense, or no target at all.
 */
export function makePlan(input: PlanInput): Plan {
  const { rolloutId, spec, others, keyId } = input;
  checkWaves(spec);
  checkSpecWindow(spec);
  const selects = parseSelector(spec.where);
  const selected = [...input.rows].filter((row) => row.class !== '' && selects(row));
  const reasons = selected.map((row): Selected => {
    const why = whyLeft(row, spec, keyId);
    const holder = why === null ? others.holder(row.deviceId) : null;
    return { row, why: holder === null ? why : HELD, holder };
  });
  const targets = inOrder(
    reasons.filter(({ why }) => why === null).map(({ row }) => row),
    rolloutId,
  );
  const left = leftOf(reasons);
  if (targets.length === 0) throw new RolloutError('no_devices', noDevices(spec, left));
  const { waves, groups } = divide(targets, spec);
  const executions = groups.flatMap((group, wave) =>
    group.map((row) => newExecution(rolloutId, row, wave)),
  );
  return { waves, executions, left };
}

/** Every device would refuse the job. */
function checkSpecWindow({ window }: RolloutSpec): void {
  if (window === undefined) return;
  try {
    checkWindow(window);
  } catch (error) {
    throw new RolloutError('bad_spec', `window: ${messageOf(error)}`, error);
  }
}

function checkWaves({ waves }: RolloutSpec): void {
  const isRising = waves.every((percent, at) => at === 0 || percent > (waves[at - 1] ?? 0));
  if (isRising) return;
  const message = `waves: ${waves.join(', ')} do not rise: each is the percentage reached by its end`;
  throw new RolloutError('bad_spec', message);
}

function inOrder(rows: readonly DeviceRow[], rolloutId: string): readonly DeviceRow[] {
  const keyed = rows.map((row) => ({ row, key: hash(`${rolloutId}\n${row.deviceId}`) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ row }) => row);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function divide(targets: readonly DeviceRow[], spec: RolloutSpec) {
  const canaries = canariesOf(targets, spec.canaryPerClass);
  const first = new Set(canaries);
  const others = targets.filter((row) => !first.has(row));
  const waves: PlannedWave[] = [];
  const groups: (readonly DeviceRow[])[] = [];
  const add = (wave: PlannedWave, group: readonly DeviceRow[]) => {
    if (group.length === 0) return;
    waves.push(wave);
    groups.push(group);
  };
  add({ kind: 'canary', percent: null }, canaries);
  let done = 0;
  for (const percent of spec.waves) {
    const reached = Math.ceil((targets.length * percent) / 100) - canaries.length;
    add({ kind: 'percent', percent }, others.slice(done, Math.max(done, reached)));
    done = Math.max(done, reached);
  }
  return { waves, groups };
}

function canariesOf(targets: readonly DeviceRow[], perClass: number): readonly DeviceRow[] {
  const byClass = new Map<string, DeviceRow[]>();
  for (const row of targets) {
    const rows = byClass.get(row.class);
    if (rows === undefined) byClass.set(row.class, [row]);
    else rows.push(row);
  }
  return [...byClass.keys()].toSorted().flatMap((name) => {
    const rows = byClass.get(name) ?? [];
    // Stable: by hash among those that are here, and among the others.
    return rows.toSorted((a, b) => awayness(a) - awayness(b)).slice(0, perClass);
  });
}

function awayness({ state }: DeviceRow): number {
  return state === 'online' ? 0 : 1;
}

interface Selected {
  readonly row: DeviceRow;
  readonly why: string | null;
  /** The rollout that it takes part in. */
  readonly holder: string | null;
}

function leftOf(selected: readonly Selected[]): Rollout['left'] {
  const groups = new Map<string, { reason: string; rollout: string | null; ids: string[] }>();
  const named = new Set<string>();
  for (const { row, why, holder } of selected) {
    if (why === null) continue;
    const isNamed = holder !== null && (named.has(holder) || named.size < MAX_HOLDERS);
    const rollout = isNamed ? holder : null;
    if (rollout !== null) named.add(rollout);
    const key = `${why}\n${rollout ?? ''}`;
    const group = groups.get(key) ?? { reason: why, rollout, ids: [] };
    groups.set(key, group);
    group.ids.push(row.deviceId);
  }
  return [...groups.keys()].toSorted().flatMap((key) => {
    const group = groups.get(key);
    if (group === undefined) return [];
    const { reason, rollout, ids } = group;
    const examples = ids.toSorted().slice(0, MAX_EXAMPLES);
    const which = rollout === null ? {} : { rollout };
    return [{ reason, ...which, devices: ids.length, examples }];
  });
}

function noDevices({ where }: RolloutSpec, left: Rollout['left']): string {
  const selected = where === '' ? 'the fleet' : `"${where}"`;
  if (left.length === 0) return `no device is in ${selected}`;
  const why = left.map(({ reason, rollout, devices }) => {
    const which = rollout === undefined ? '' : ` (${rollout})`;
    return `${devices} ${reason.replaceAll('_', ' ')}${which}`;
  });
  const isHeld = left.some(({ reason }) => reason === HELD);
  const fix = isHeld ? '; abort that one, wait for its end, or select others (where)' : '';
  return `no device of ${selected} is left: ${why.join(', ')}${fix}`;
}
