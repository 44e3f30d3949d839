import type { Rollout, Wave } from '../../contracts/rollout.ts';
import { hang, plain, styled, wrap } from '../text.ts';
import { formatDuration } from './parse.ts';

/** Rollouts as text: pure functions. */

export interface ViewOptions {
  readonly width: number;
  readonly color: boolean;
  readonly nowMs: number;
}

const BAR = 24;
const KIND_WIDTH = 8;

/** `#` succeeded, `x` failed, `-` under way, `.` to come or canceled; each that is there has at least one. */
export function bar({ counts }: Pick<Wave, 'counts'>, width = BAR): string {
  const { targets, succeeded, open } = counts;
  const failed = failedOf(counts);
  if (targets === 0) return '.'.repeat(width);
  const cells = [
    { mark: '#', count: succeeded },
    { mark: 'x', count: failed },
    { mark: '-', count: open },
  ].map(({ mark, count }) => {
    const exact = (count / targets) * width;
    return { mark, cells: count === 0 ? 0 : Math.max(1, Math.floor(exact)) };
  });
  const text = cells.map(({ mark, cells: n }) => mark.repeat(n)).join('');
  const isFull = succeeded + failed + open >= targets;
  const [last = '.'] = isFull ? text.slice(-1) : '.';
  return text.slice(0, width).padEnd(width, last);
}

/** A job that was taken back has not failed: nothing was done. */
function failedOf({ failed, rejected }: Rollout['counts']): number {
  return failed + rejected;
}

/** `canary`, or `to 10 %`. */
export function waveName({ kind, percent }: Wave): string {
  return kind === 'canary' ? 'canary' : `to ${percent ?? 0} %`;
}

/** Everything an operator wants to see of a rollout. */
export function renderRollout(rollout: Rollout, options: ViewOptions): readonly string[] {
  return [
    ...head(rollout, options),
    '',
    ...rollout.waves.flatMap((wave) => waveLines(wave, rollout, options)),
    ...failureLines(rollout, options),
    ...leftLines(rollout, options),
  ];
}

function head(rollout: Rollout, { width, color, nowMs }: ViewOptions): readonly string[] {
  const { spec, counts, offline } = rollout;
  const state = styled(rollout.state, styleOf(rollout.state), color);
  const title = `${plain(rollout.rolloutId)}: ${spec.model.name} ${spec.model.version}, ${state}`;
  const reason = rollout.reason === null ? [] : hang('  ', rollout.reason.text, width);
  const ended = counts.succeeded + failedOf(counts);
  const since = rollout.startedAt === null ? null : Date.parse(rollout.startedAt);
  const until = rollout.endedAt === null ? nowMs : Date.parse(rollout.endedAt);
  const took = since === null ? [] : [`for ${formatDuration(Math.max(0, until - since) / 1000)}`];
  const facts = [
    `${ended} of ${counts.targets} devices have ended`,
    `${failedOf(counts)} failed`,
    ...(counts.canceled > 0 ? [`${counts.canceled} canceled`] : []),
    ...(offline > 0 ? [`${offline} offline`] : []),
    ...took,
  ];
  const where = spec.where === '' ? 'all devices' : `where ${spec.where}`;
  return [title, ...reason, ...hang('  ', facts.join(', '), width), ...hang('  ', where, width)];
}

function styleOf(state: string): 'green' | 'red' | 'bold' {
  if (state === 'completed' || state === 'passed') return 'green';
  return state === 'aborted' || state === 'failed' || state === 'paused' ? 'red' : 'bold';
}

function waveLines(wave: Wave, rollout: Rollout, options: ViewOptions): readonly string[] {
  const { counts, state } = wave;
  const ended = counts.succeeded + failedOf(counts);
  const isNow = rollout.wave === wave.index && rollout.endedAt === null;
  const failed = failedOf(counts) === 0 ? '' : `, ${failedOf(counts)} failed`;
  const line = [
    isNow ? '>' : ' ',
    waveName(wave).padEnd(KIND_WIDTH),
    `[${bar(wave)}]`,
    `${ended}/${counts.targets}`.padStart(9),
    `${styled(state, styleOf(state), options.color)}${failed}${soaking(wave, options.nowMs)}`,
  ].join(' ');
  const notes = [comparison(wave), wave.verdict ?? ''].filter((text) => text !== '');
  return [line, ...notes.flatMap((text) => hang(' '.repeat(KIND_WIDTH + 3), text, options.width))];
}

function soaking({ state, soakUntil }: Wave, nowMs: number): string {
  if (state !== 'soaking' || soakUntil === null) return '';
  return `, ${formatDuration(Math.max(0, Date.parse(soakUntil) - nowMs) / 1000)} left`;
}

function comparison({ compared }: Wave): string {
  if (compared === null || compared.devices === 0) return '';
  const { devices, p90Ratio, accuracyDrop, celsiusRise } = compared;
  const parts = [
    p90Ratio === null ? [] : [`p90 x${p90Ratio.toFixed(2)}`],
    accuracyDrop === null ? [] : [`accuracy ${signed(-accuracyDrop * 100)} points`],
    celsiusRise === null ? [] : [`${signed(celsiusRise)} °C`],
  ].flat();
  return parts.length === 0 ? '' : `median of ${devices}: ${parts.join(', ')}`;
}

function signed(value: number): string {
  return `${value > 0 ? '+' : ''}${value.toFixed(1)}`;
}

function failureLines({ failures }: Rollout, { width, color }: ViewOptions): readonly string[] {
  if (failures.length === 0) return [];
  const rows = failures.flatMap(({ code, class: kind, devices, examples, text }) => [
    `${String(devices).padStart(6)}  ${plain(code)} on ${plain(kind)}: ${examples.join(', ')}`,
    ...hang('        ', text, width),
  ]);
  return ['', styled('Failures', 'bold', color), ...rows.flatMap((row) => wrapKeeping(row, width))];
}

function leftLines({ left }: Rollout, { width, color }: ViewOptions): readonly string[] {
  if (left.length === 0) return [];
  const rows = left.map(({ reason, rollout, devices, examples }) => {
    const few = examples.length < devices ? ', ...' : '';
    const why = rollout === undefined ? plain(reason) : `${plain(reason)} ${plain(rollout)}`;
    return `${String(devices).padStart(6)}  ${why}: ${examples.join(', ')}${few}`;
  });
  return ['', styled('Left out', 'bold', color), ...rows.flatMap((row) => wrapKeeping(row, width))];
}

function wrapKeeping(row: string, width: number): readonly string[] {
  return row.length <= width ? [row] : hang('        ', row.trim(), width);
}

const CLASS_WIDTH = 20;
const CELL = 9;

/** Devices by class and wave: a dry run. Waves that do not fit stand in tables below. */
export function renderPlan(rollout: Rollout, options: ViewOptions): readonly string[] {
  const { spec, waves, counts } = rollout;
  const classes = [...new Set(waves.flatMap((wave) => Object.keys(wave.classes)))].toSorted();
  const perTable = Math.max(1, Math.floor((options.width - CLASS_WIDTH - CELL) / CELL));
  const tables: string[] = [];
  for (let at = 0; at < waves.length; at += perTable) {
    const some = waves.slice(at, at + perTable);
    const line = (name: string, cells: readonly (string | number)[]) =>
      `${plain(name)
        .slice(0, CLASS_WIDTH - 1)
        .padEnd(CLASS_WIDTH)}${cells.map((cell) => String(cell).padStart(CELL)).join('')}`;
    const all = (kind: string) => sum(waves.map((wave) => wave.classes[kind] ?? 0));
    const header = line('class', [...some.map(waveName), 'all']);
    tables.push(
      styled(header, 'bold', options.color),
      ...classes.map((kind) =>
        line(kind, [...some.map((wave) => wave.classes[kind] ?? 0), all(kind)]),
      ),
      line('', [...some.map((wave) => wave.counts.targets), counts.targets]),
      '',
    );
  }
  const { maxFailed, soakSeconds, onFailed } = spec;
  const rules = `${formatDuration(soakSeconds)} between waves; ${onFailed} at ${maxFailed.percent} % and ${maxFailed.count} failed`;
  const title = `${spec.model.name} ${spec.model.version} to ${counts.targets} ${counts.targets === 1 ? 'device' : 'devices'}, ${rollout.offline} offline`;
  return [
    ...wrap(title, options.width),
    ...wrap(rules, options.width),
    '',
    ...tables,
    ...leftLines(rollout, options).slice(1),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** One line for a log: what has changed. */
export function rolloutLine({ ts, state, waves, wave, counts, reason }: Rollout): string {
  const now = waves.find(({ index }) => index === wave);
  const at =
    now === undefined
      ? ''
      : ` ${waveName(now)} ${now.state} ${now.counts.succeeded + failedOf(now.counts)}/${now.counts.targets}`;
  const why = reason === null ? '' : `: ${plain(reason.text)}`;
  const ended = counts.succeeded + failedOf(counts);
  return `${ts} ${state}${at}, ${ended}/${counts.targets} ended, ${failedOf(counts)} failed${why}`;
}

/** The rollouts that the broker keeps, one line each. */
export function renderRollouts(
  rollouts: readonly Rollout[],
  { color }: ViewOptions,
): readonly string[] {
  if (rollouts.length === 0) return ['no rollouts yet: agent fleet rollout create --model ...'];
  const rows = rollouts.map(({ rolloutId, spec, state, counts, createdAt }) => [
    rolloutId,
    `${spec.model.name} ${spec.model.version}`,
    state,
    `${counts.succeeded + failedOf(counts)}/${counts.targets}`,
    String(failedOf(counts)),
    createdAt.slice(5, 16).replace('T', ' '),
  ]);
  const heads = ['rollout', 'release', 'state', 'ended', 'failed', 'created'];
  const limits = [22, 16, 9, 9, 6, 11];
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => {
        const limit = limits[at] ?? 0;
        const text = plain(cell);
        const cut = text.length > limit && at < 2 ? `${text.slice(0, limit - 1)}~` : text;
        return at === 3 || at === 4 ? cut.padStart(limit) : cut.padEnd(limit);
      })
      .join(' ')
      .trimEnd();
  return [styled(line(heads), 'bold', color), ...rows.map(line)];
}
