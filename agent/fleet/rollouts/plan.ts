import { createHash } from 'node:crypto';
import type { Rollout, RolloutSpec } from '../../contracts/rollout.ts';
import { messageOf } from '../../util/errors.ts';
import { checkWindow } from '../jobs/window.ts';
import type { DeviceRow } from '../roster/row.ts';
import { RolloutError } from './error.ts';
import { newExecution, type Execution } from './execution.ts';
import { parseSelector } from './selector.ts';

export interface PlanInput {
  readonly rolloutId: string;
  readonly spec: RolloutSpec;
  readonly rows: Iterable<DeviceRow>;
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
  const { rolloutId, spec, keyId } = input;
  checkWaves(spec);
  checkSpecWindow(spec);
  const selects = parseSelector(spec.where);
  const selected = [...input.rows].filter((row) => row.class !== '' && selects(row));
  const reasons = selected.map((row) => ({ row, why: whyLeft(row, spec, keyId) }));
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

function leftOf(
  reasons: readonly { readonly row: DeviceRow; readonly why: string | null }[],
): Rollout['left'] {
  const byReason = new Map<string, string[]>();
  for (const { row, why } of reasons) {
    if (why === null) continue;
    const ids = byReason.get(why);
    if (ids === undefined) byReason.set(why, [row.deviceId]);
    else ids.push(row.deviceId);
  }
  return [...byReason.keys()].toSorted().map((reason) => {
    const ids = byReason.get(reason) ?? [];
    return { reason, devices: ids.length, examples: ids.toSorted().slice(0, MAX_EXAMPLES) };
  });
}

function noDevices({ where }: RolloutSpec, left: Rollout['left']): string {
  const selected = where === '' ? 'the fleet' : `"${where}"`;
  if (left.length === 0) return `no device is in ${selected}`;
  const why = left.map(({ reason, devices }) => `${devices} ${reason.replaceAll('_', ' ')}`);
  return `no device of ${selected} is left: ${why.join(', ')}`;
}
