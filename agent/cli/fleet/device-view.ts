import { z } from 'zod';
import {
  decisionRowSchema,
  type DecisionRow,
  type DeviceDecision,
} from '../../contracts/device-decision.ts';
import type { JobRecord } from '../../contracts/job.ts';
import type { DeviceView } from '../../fleet/operator/device.ts';
import { hang, plain, styled } from '../text.ts';
import { formatDuration } from './parse.ts';
import type { ViewOptions } from './rollout-view.ts';
import { wait } from './wait-text.ts';

/** One device as text: pure functions. */

const LABEL = 10;
const MAX_JOBS = 10;

/** What a device is, what it runs and why, its jobs. */
export function renderDevice(view: DeviceView, options: ViewOptions): readonly string[] {
  return [...facts(view, options), ...decisions(view, options), ...jobLines(view.jobs, options)];
}

function facts(view: DeviceView, { width, nowMs }: ViewOptions): readonly string[] {
  const { deviceId, status, birth, twin } = view;
  const line = (label: string, text: string) => hang(label.padEnd(LABEL), text, width);
  return [
    ...line('device', deviceId),
    ...line('state', stateText(view, nowMs)),
    ...(birth === null ? [] : line('board', boardText(birth.facts))),
    ...(birth === null ? [] : line('class', classText(birth))),
    ...(birth?.tags === undefined || birth.tags.length === 0
      ? []
      : line('tags', birth.tags.join(', '))),
    ...line('agent', status?.agent ?? birth?.agent ?? 'unknown'),
    ...(twin === null ? [] : line('model', modelText(twin))),
    ...(twin === null ? [] : line('settings', settingsText(twin))),
  ];
}

type Birth = NonNullable<DeviceView['birth']>;
type Twin = NonNullable<DeviceView['twin']>;

function stateText({ status }: DeviceView, nowMs: number): string {
  if (status === null) return 'says nothing';
  const since = wait(Date.parse(status.since), nowMs);
  const cause = status.cause === null ? '' : ` (${status.cause})`;
  const said = status.ts === null ? '' : `, heard ${wait(Date.parse(status.ts), nowMs)} ago`;
  return `${status.state}${cause}, session ${status.session} since ${since}${said}`;
}

function boardText({ board, cpu, memory, thermal }: Birth['facts']): string {
  const cores = cpu.coresOnline === null ? '' : `, ${cpu.coresOnline} cores`;
  const total = memory.totalBytes;
  const size = total === null ? '' : `, ${(total / 1e9).toFixed(1)} GB`;
  const heat = thermal.find(({ celsius }) => celsius !== null)?.celsius ?? null;
  const warm = heat === null ? '' : `, ${heat.toFixed(0)} °C when it connected`;
  return plain(`${board.model ?? board.id} (${cpu.arch}${cores}${size}${warm})`);
}

function classText({ facts: { profile }, accelerators, precisions, runtimes }: Birth): string {
  const extra = accelerators.length === 0 ? '' : `; ${accelerators.join(', ')}`;
  return `${profile.id}; ${precisions.join(', ')}; ${runtimes.join(', ')}${extra}`;
}

function modelText({ activeModel, lastBench }: Twin): string {
  if (activeModel === null) return 'none';
  const { name, version, precision, releaseCounter } = activeModel;
  const p90 = lastBench?.p90Ms ?? null;
  const speed = p90 === null ? '' : `, p90 ${p90.toPrecision(3)} ms`;
  const found = lastBench?.accuracy ?? null;
  const accuracy = found === null ? '' : `, ${found.metric} ${(found.value * 100).toFixed(1)} %`;
  return plain(`${name} ${version} in ${precision} (release ${releaseCounter})${speed}${accuracy}`);
}

function settingsText({ settings: { applied, counter, refused } }: Twin): string {
  const given = Object.keys(applied).length === 0 ? 'as configured' : JSON.stringify(applied);
  const number = counter === null ? '' : ` (document ${counter})`;
  return plain(`${given}${number}${refused === null ? '' : `; refused: ${refused.text}`}`);
}

/** What a fit puts into its record; fields may be missing in those of older agents. */
const tableSchema = z.array(decisionRowSchema);

/** What runs and why; of an agent that does not tell, what the newest job says. */
function decisions({ decisions: told, jobs }: DeviceView, options: ViewOptions): readonly string[] {
  if (told.length > 0) return told.flatMap((one) => toldDecision(one, options));
  for (const { result, jobId } of jobs) {
    const parsed = tableSchema.safeParse(result?.['table']);
    if (parsed.success) {
      const title = styled(`Decision of ${plain(jobId)}`, 'bold', options.color);
      return ['', title, ...decisionTable(parsed.data, options)];
    }
  }
  return [];
}

function toldDecision(told: DeviceDecision, options: ViewOptions): readonly string[] {
  const { model, version, decidedAt, chosen, calibration, table } = told;
  const title = plain(`Decision on ${model} ${version}: ${chosen.precision}`);
  const when = decidedAt.slice(0, 16).replace('T', ' ');
  const { source, samples } = calibration;
  const whose = source === 'recorded' ? 'recorded there' : 'of the package';
  const how = source === 'none' ? 'without samples' : `with ${samples} samples ${whose}`;
  return [
    '',
    styled(title, 'bold', options.color),
    ...hang('  ', `${when}, calibrated ${how}`, options.width),
    ...decisionTable(table, options),
  ];
}

function cell(value: number | null, text: (value: number) => string): string {
  return (value === null ? '-' : text(value)).padStart(8);
}

function decisionTable(
  rows: readonly DecisionRow[],
  { width, color }: ViewOptions,
): readonly string[] {
  const ids = Math.min(34, Math.max(9, ...rows.map(({ id }) => id.length)));
  const head = `${'candidate'.padEnd(ids)}${'p90 ms'.padStart(8)}${'SQNR dB'.padStart(8)}${'points'.padStart(8)}`;
  return [
    head,
    ...rows.flatMap(({ id, verdict, why, p90Ms, sqnrDb, accuracyDrop }) => {
      const name = plain(id).slice(0, ids).padEnd(ids);
      const figures = [
        cell(p90Ms, (value) => value.toPrecision(3)),
        cell(sqnrDb, (value) => value.toFixed(1)),
        cell(accuracyDrop, (value) => (-value * 100).toFixed(1)),
      ].join('');
      const isChosen = verdict === 'chosen';
      const line = `${name}${figures}${isChosen ? '  chosen' : ''}`;
      return [isChosen ? styled(line, 'green', color) : line, ...hang('    ', why, width)];
    }),
  ];
}

function jobLines(jobs: readonly JobRecord[], options: ViewOptions): readonly string[] {
  if (jobs.length === 0) return ['', 'no jobs'];
  const shown = jobs.slice(0, MAX_JOBS);
  const more = jobs.length - shown.length;
  return [
    '',
    styled('Jobs', 'bold', options.color),
    ...shown.flatMap((job) => jobText(job, options)),
    ...(more === 0 ? [] : [`... and ${more} older ones`]),
  ];
}

/** How it ended, why, and what each phase took. */
export function jobText(job: JobRecord, { width }: Pick<ViewOptions, 'width'>): readonly string[] {
  const { jobId, jobType, status, phase, outcome, reason, phases, ts } = job;
  const isOpen = status === 'IN_PROGRESS' || status === 'QUEUED';
  const end = isOpen ? phase : `${status.toLowerCase()}${outcome === null ? '' : `, ${outcome}`}`;
  const when = ts.slice(0, 16).replace('T', ' ');
  const why = reason === null ? [] : hang('    ', `${reason.code}: ${reason.text}`, width);
  const times = Object.entries(phases)
    .filter(([, ms]) => ms >= 1)
    .map(
      ([name, ms]) => `${name} ${ms < 1000 ? `${Math.round(ms)} ms` : formatDuration(ms / 1000)}`,
    );
  return [
    ...hang('  ', `${when} ${jobType} ${jobId}: ${end}`, width),
    ...why,
    ...(times.length === 0 ? [] : hang('    ', times.join(', '), width)),
  ];
}
