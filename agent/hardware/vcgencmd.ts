// The Raspberry Pi's tool that asks its firmware.
import { nonsense } from './error.ts';
import { parsePositive } from './parse.ts';
import type { Rail } from './rails.ts';
import { askTool } from './tool.ts';
import type { Tree } from './tree.ts';

export const VCGENCMD: readonly string[] = ['/usr/bin/vcgencmd', '/opt/vc/bin/vcgencmd'];
const ASK_TIMEOUT_MS = 1000;

/** The first tool that is there; undefined in a recording, which cannot be asked. */
export async function findTool(tree: Tree, tools: readonly string[]): Promise<string | undefined> {
  if (!tree.live) return undefined;
  const there = await Promise.all(tools.map((tool) => tree.exists(tool)));
  return tools.find((_, at) => there[at]);
}

/** Asks the firmware, e.g. `get_throttled`. Throws when it does not answer. */
export function askVcgencmd(tool: string, ...question: readonly string[]): Promise<string> {
  return askTool(tool, question, ASK_TIMEOUT_MS);
}

/** `temp=48.3'C` in °C. */
export function parseMeasuredTemp(text: string): number {
  const [, value] = /^\s*temp=(-?\d{1,3}(?:\.\d+)?)'C\s*$/.exec(text) ?? [];
  if (value === undefined) throw nonsense("temp=48.3'C", text);
  return Number(value);
}

/** `frequency(48)=1500398464` in Hz; the number in parentheses differs between firmwares. */
export function parseMeasuredClock(text: string): number {
  const [, value] = /^\s*frequency\(\d+\)=(\d+)\s*$/.exec(text) ?? [];
  if (value === undefined) throw nonsense('frequency(48)=1500398464', text);
  return parsePositive(value);
}

const ADC_LINE = /^\s*(\w+?)_([AV])\s+(?:current|volt)\(\d+\)=(-?\d+(?:\.\d+)?)[AV]\s*$/;

/**
 * `pmic_read_adc` of a Pi 5: lines such as `VDD_CORE_A current(7)=0.87614000A` and
 * `VDD_CORE_V volt(15)=0.72042700V`. A rail is a name with both; voltages alone (EXT5V, BATT) are none.
 * The regulators' own losses, USB and what hangs on the 5 V line are not in it.
 */
export function parsePmic(text: string): readonly Rail[] {
  const amperes = new Map<string, number>();
  const volts = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name = '', unit, value] = ADC_LINE.exec(line) ?? [];
    if (value !== undefined) (unit === 'A' ? amperes : volts).set(name, Number(value));
  }
  const rails = [...amperes].flatMap(([name, current]) => {
    const voltage = volts.get(name);
    return voltage === undefined ? [] : [{ name, milliwatts: current * voltage * 1000 }];
  });
  if (rails.length === 0) throw nonsense('currents and voltages of a power chip', text);
  return rails;
}
