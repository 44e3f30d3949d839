import type { Models } from '../../../contracts/dashboard.ts';
import type { RolloutSpecInput } from '../../../contracts/rollout.ts';

/** The fields of the form, as typed. */
export interface FormFields {
  readonly name: string;
  readonly version: string;
  readonly where: string;
  readonly waves: string;
  readonly canaryPerClass: string;
  readonly soakMinutes: string;
  readonly failedPercent: string;
  readonly failedCount: string;
  readonly onFailed: string;
  readonly precision: string;
  readonly windowCron: string;
  readonly windowMinutes: string;
}

export const EMPTY_FORM: FormFields = {
  name: '',
  version: '',
  where: '',
  waves: '1, 10, 50, 100',
  canaryPerClass: '1',
  soakMinutes: '30',
  failedPercent: '5',
  failedCount: '10',
  onFailed: 'pause',
  precision: 'auto',
  windowCron: '',
  windowMinutes: '240',
};

export type ReadForm =
  | { readonly spec: RolloutSpecInput; readonly problems: null }
  | { readonly spec: null; readonly problems: Readonly<Partial<Record<keyof FormFields, string>>> };

const onFailed = ['pause', 'abort', 'rollback'] as const;
const precisions = ['auto', 'int8', 'fp16', 'fp32'] as const;
const MINUTE_SECONDS = 60;

function numberIn(text: string, low: number, high: number): number | null {
  const value = Number(text);
  return text.trim() === '' || !(value >= low && value <= high) ? null : value;
}

function readWaves(text: string): number[] | null {
  const waves = text.split(/[\s,;%]+/).filter(Boolean);
  const values = waves.map((wave) => numberIn(wave, 0.001, 100) ?? Number.NaN);
  const grows = values.every((value, at) => at === 0 || value > (values[at - 1] ?? 0));
  return values.length > 0 && grows && values.at(-1) === 100 ? values : null;
}

type Problems = Partial<Record<keyof FormFields, string>>;

/** What the form asks for, or what is wrong with it by field. The server has the last word. */
export function readForm(fields: FormFields, models: Models['models']): ReadForm {
  const problems: Problems = {};
  const need = <T>(value: T | null, field: keyof FormFields, text: string, instead: T): T => {
    if (value === null) problems[field] = text;
    return value ?? instead;
  };
  const number = (field: keyof FormFields, low: number, high: number) =>
    need(numberIn(fields[field], low, high), field, `a number from ${low} to ${high}`, 0);
  const name = need(fields.name.trim() || null, 'name', 'which model?', '');
  const version = need(fields.version.trim() || null, 'version', 'which version?', '');
  const waves = need(readWaves(fields.waves), 'waves', 'growing percents that end with 100', [100]);
  const known = models
    .find((model) => model.name === name)
    ?.versions.find((each) => each.version === version);
  const precision = precisions.find((each) => each === fields.precision) ?? 'auto';
  const cron = fields.windowCron.trim();
  const spec: RolloutSpecInput = {
    model: {
      name,
      version,
      releaseCounter: known?.releaseCounter ?? undefined,
      manifestSha256: known?.manifestSha256 ?? undefined,
    },
    where: fields.where.trim(),
    waves,
    canaryPerClass: number('canaryPerClass', 0, 100),
    soakSeconds: Math.round(number('soakMinutes', 0, 10_080) * MINUTE_SECONDS),
    maxFailed: {
      percent: number('failedPercent', 0, 100),
      count: number('failedCount', 1, 1_000_000),
    },
    onFailed: onFailed.find((each) => each === fields.onFailed) ?? 'pause',
    ...(precision === 'auto' ? {} : { policy: { precision } }),
    ...(cron === '' ? {} : { window: { cron, durationMinutes: number('windowMinutes', 1, 1430) } }),
  };
  return Object.keys(problems).length > 0 ? { spec: null, problems } : { spec, problems: null };
}
