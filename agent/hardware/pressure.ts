import { nonsense } from './error.ts';
import { readFact, type Reading } from './facts-log.ts';

/** Pressure stall information, since Linux 4.20; some kernels are built without it. */
const FOLDER = '/proc/pressure';

export interface Pressure {
  /** Share of the last 10 s in which something waited, 0 to 1; null where the kernel does not tell. */
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly io: number | null;
}

/** How much waits for processor, memory and disk. */
export async function readPressure(reading: Reading): Promise<Pressure> {
  const read = (resource: string) =>
    readFact(reading, `pressure.${resource}`, `${FOLDER}/${resource}`, parsePressure, {
      optional: true,
    });
  const [cpu, memory, io] = await Promise.all([read('cpu'), read('memory'), read('io')]);
  return { cpu, memory, io };
}

/** `some avg10=1.53 avg60=0.87 avg300=0.29 total=58920`, in percent. */
export function parsePressure(text: string): number {
  const [, percent] = /^some avg10=(\d{1,3}(?:\.\d+)?) /m.exec(text) ?? [];
  if (percent === undefined || Number(percent) > 100) {
    throw nonsense('a line "some avg10=PERCENT"', text);
  }
  return Number(percent) / 100;
}
