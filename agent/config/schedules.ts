import { telemetryConfigSchema, type Config } from '../contracts/config.ts';
import type { Issue } from './issues.ts';

/** Keys of `telemetry` that hold a cron line. */
export const scheduleKeys = ['schedule', 'benchSchedule', 'driftSchedule'] as const;

/** In place of a cron line. */
export const OFF = 'off';

const HOW = 'use "minute hour day month weekday", with seconds before them if you like, or off';

/** What is wrong with cron lines. Our own are not checked: most programs then need no parser. */
export async function checkSchedules({ telemetry }: Config): Promise<readonly Issue[]> {
  const ours = telemetryConfigSchema.parse({});
  const others = scheduleKeys.filter(
    (key) => telemetry[key] !== ours[key] && telemetry[key] !== OFF,
  );
  if (others.length === 0) return [];
  const { validateDetailed } = await import('node-cron');
  return others.flatMap((key) => {
    const error = tooLong(telemetry[key]) ?? validateDetailed(telemetry[key]).errors[0];
    if (error === undefined) return [];
    const line = JSON.stringify(telemetry[key]);
    const where = error.field === 'expression' ? '' : ` (${error.field} ${error.value ?? ''})`;
    return [{ path: ['telemetry', key], message: `${line} is no schedule${where}: ${HOW}` }];
  });
}

/** The parser writes out every range before it looks at its ends: a long one would end the process. */
function tooLong(line: string) {
  const [value] = /\d{3,}/.exec(line) ?? [];
  return value === undefined ? undefined : { field: 'number', value };
}
