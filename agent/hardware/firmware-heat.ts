import { slowly } from './slowly.ts';
import type { Tree } from './tree.ts';
import {
  VCGENCMD,
  askVcgencmd,
  findTool,
  parseMeasuredClock,
  parseMeasuredTemp,
} from './vcgencmd.ts';

/** What the firmware of a Raspberry Pi measures. */
export interface FirmwareHeat {
  readonly celsius: number | null;
  readonly frequencyHz: number | null;
}

/** Starting a program costs milliseconds on a small board. */
const ASK_EVERY_MS = 1000;
const UNKNOWN: FirmwareHeat = { celsius: null, frequencyHz: null };

/** Asks the firmware, for systems that show no thermal zone; nothing is known where there is no tool. */
export async function watchFirmware(
  tree: Tree,
  tools: readonly string[] = VCGENCMD,
): Promise<(fresh?: boolean) => Promise<FirmwareHeat>> {
  const tool = await findTool(tree, tools);
  if (tool === undefined) return () => Promise.resolve(UNKNOWN);
  return slowly(async () => {
    const [celsius, frequencyHz] = await Promise.all([
      ask(tool, ['measure_temp'], parseMeasuredTemp),
      ask(tool, ['measure_clock', 'arm'], parseMeasuredClock),
    ]);
    return { celsius, frequencyHz };
  }, ASK_EVERY_MS);
}

async function ask(
  tool: string,
  question: readonly string[],
  parse: (text: string) => number,
): Promise<number | null> {
  try {
    return parse(await askVcgencmd(tool, ...question));
  } catch {
    // No access to the firmware, as in most containers.
    return null;
  }
}
