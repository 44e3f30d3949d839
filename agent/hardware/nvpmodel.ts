// The power mode of a Jetson. Numbers of modes differ between boards, so only the name counts.
import { messageOf } from '../util/errors.ts';
import { nonsense } from './error.ts';
import { foundFact, missFact, readOptional, type Reading } from './facts-log.ts';
import { askTool } from './tool.ts';
import { findTool } from './vcgencmd.ts';

const FACT = 'power.mode';
const STATUS = '/var/lib/nvpmodel/status';
const CONFIG = '/etc/nvpmodel.conf';
export const NVPMODEL: readonly string[] = ['/usr/sbin/nvpmodel', '/usr/bin/nvpmodel'];
const ASK_TIMEOUT_MS = 2000;

/** `nvpmodel -q`, also `--verbose` and behind warnings: the name after `NV Power Mode:`. */
export function parseNvpmodel(text: string): string {
  const [, name] = /NV Power Mode(?:\[\d+\])?: *([^\s:]{1,40})[ \t]*\r?$/m.exec(text) ?? [];
  if (name === undefined) throw nonsense('a line "NV Power Mode: NAME"', text);
  return name;
}

/** The name of the mode in force, from the file where the service keeps it (`pmode:0002`) and its list. */
export function parsePowerMode(status: string, config: string): string | null {
  const [, number] = /^\s*pmode:(\d{1,4})/m.exec(status) ?? [];
  if (number === undefined) return null;
  for (const [, id, name] of config.matchAll(
    /^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]{1,40})\s*>/gm,
  )) {
    if (Number(id) === Number(number)) return name ?? null;
  }
  return null;
}

/** The name of the power mode; null, with a note where there is a tool that does not tell. */
export async function readPowerMode(
  reading: Reading,
  tools: readonly string[] = NVPMODEL,
): Promise<string | null> {
  const [status, config] = await Promise.all(
    [STATUS, CONFIG].map((path) => readOptional(reading.tree, path)),
  );
  const mode = parsePowerMode(status ?? '', config ?? '');
  if (mode !== null) {
    foundFact(reading, FACT, STATUS);
    return mode;
  }
  const tool = await findTool(reading.tree, tools);
  if (tool === undefined) return null;
  try {
    const told = parseNvpmodel(await askTool(tool, ['-q'], ASK_TIMEOUT_MS));
    foundFact(reading, FACT, tool);
    return told;
  } catch (error) {
    missFact(reading, FACT, `${tool} -q: ${messageOf(error).replaceAll(/\s+/g, ' ')}`);
    return null;
  }
}
