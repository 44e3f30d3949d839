import { readFact, type Reading } from './facts-log.ts';
import { slowly } from './slowly.ts';
import {
  CORE_COUNT,
  FACT,
  askFirmware,
  readThrottling,
  type Throttling,
  isFirmwareFile,
  readFirmware,
} from './throttling.ts';
import { parseInteger } from './parse.ts';
import { VCGENCMD } from './vcgencmd.ts';

/** Starting a program costs milliseconds on a small board; what happens in between leaves a bit set. */
const ASK_EVERY_MS = 1000;
const PACKAGE_COUNT = CORE_COUNT.replace('core_throttle_count', 'package_throttle_count');

export interface ThrottlingState extends Throttling {
  /** How often the processor has slowed itself down since boot; null where it does not count. */
  readonly events: number | null;
}

/**
 * A way to ask again and again what `readThrottling` tells once; it looks for the source only once. A
 * source that is a program is asked every second, or when the answer must be fresh.
 */
export async function watchThrottling(
  reading: Reading,
): Promise<(fresh?: boolean) => Promise<ThrottlingState | null>> {
  const first = await readThrottling(reading);
  const source = reading.sources.get(FACT);
  if (first === null || source === undefined) return () => Promise.resolve(null);
  if (source === CORE_COUNT) return () => readCounts(reading);
  const read = isFirmwareFile(source)
    ? () => readFirmware(reading, [source])
    : again(reading, source);
  return async (fresh) => {
    const state = await read(fresh);
    return state === null ? null : { ...state, events: null };
  };
}

function again(reading: Reading, source: string): (fresh?: boolean) => Promise<Throttling | null> {
  if (!VCGENCMD.includes(source)) return () => readThrottling(reading);
  return slowly(() => askFirmware(reading, [source]), ASK_EVERY_MS);
}

async function readCounts(reading: Reading): Promise<ThrottlingState | null> {
  const optional = { optional: true };
  const [core, whole] = await Promise.all([
    readFact(reading, FACT, CORE_COUNT, parseInteger, optional),
    readFact(reading, FACT, PACKAGE_COUNT, parseInteger, optional),
  ]);
  const events = (core ?? 0) + (whole ?? 0);
  return core === null && whole === null ? null : { now: [], sinceBoot: [], events };
}
