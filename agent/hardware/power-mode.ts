// The power mode of a Jetson, by name: one number means another mode on each board. `nvpmodel -q`
// may need root; the two files that it keeps do not.
import { messageOf } from '../util/errors.ts';
import { nonsense } from './error.ts';
import { foundFact, missFact, readOptional, type Reading } from './facts-log.ts';
import { askTool } from './tool.ts';
import { findTool } from './vcgencmd.ts';

/** What nvpmodel leaves when it sets a mode: `pmode:0002 fmode:quiet`. */
const STATUS = '/var/lib/nvpmodel/status';
const MODES = '/etc/nvpmodel.conf';
export const NVPMODEL: readonly string[] = ['/usr/sbin/nvpmodel', '/usr/bin/nvpmodel'];
const ASK_TIMEOUT_MS = 2000;

export interface PowerModes {
  /** The name of the mode that is set, or null. */
  readonly current: string | null;
  /** The file or the tool that told it; null when none did. */
  readonly source: string | null;
  /** Why it is not known. */
  readonly why: string | null;
  /** The names of all modes of this board, in the order of its configuration. */
  readonly all: readonly string[];
}

interface Modes {
  readonly names: ReadonlyMap<number, string>;
  /** The mode after a boot on which none was set. */
  readonly preset: number | null;
}

/**
 * Reads the mode that is set: by the status file, without one the default of the configuration, and
 * where the files do not tell, by `nvpmodel -q`. Notes nothing: `noteMode` does.
 */
export async function readPowerModes(
  { tree }: Pick<Reading, 'tree'>,
  tools: readonly string[] = NVPMODEL,
): Promise<PowerModes> {
  const [status, config] = await Promise.all(
    [STATUS, MODES].map((path) => readOptional(tree, path)),
  );
  const { names, preset } = parseModes(config ?? '');
  const all = [...names.values()];
  // A status that says nothing known is no reason to believe in the default.
  const isSet = typeof status === 'string' || (await tree.exists(STATUS));
  const number = isSet ? parseStatus(status ?? '') : preset;
  const current = number === null ? undefined : names.get(number);
  if (current !== undefined) {
    return { current, source: isSet ? STATUS : MODES, why: null, all };
  }
  const tool = await findTool(tree, tools);
  const told = tool === undefined ? null : await askNvpmodel(tool);
  if (told !== null && 'mode' in told) {
    return { current: told.mode, source: tool ?? null, why: null, all };
  }
  const why = told?.why ?? whyUnknown(typeof config === 'string', isSet, number);
  return { current: null, source: null, why, all };
}

function whyUnknown(hasModes: boolean, isSet: boolean, number: number | null): string {
  if (!hasModes) return `${MODES}: no such file`;
  if (number !== null) return `${MODES} has no mode ${number}`;
  return isSet ? `${STATUS} names no mode` : `${STATUS}: no such file`;
}

/** Notes under a fact where the mode was found, or why it was not. */
export function noteMode(reading: Reading, fact: string, { source, why }: PowerModes): void {
  if (source !== null) foundFact(reading, fact, source);
  else if (why !== null) missFact(reading, fact, why);
}

async function askNvpmodel(tool: string): Promise<{ mode: string } | { why: string }> {
  try {
    return { mode: parseNvpmodel(await askTool(tool, ['-q'], ASK_TIMEOUT_MS)) };
  } catch (error) {
    return { why: `${tool} -q: ${messageOf(error).replaceAll(/\s+/g, ' ')}` };
  }
}

/** `nvpmodel -q`, also `--verbose` and behind warnings: the name after `NV Power Mode:`. */
export function parseNvpmodel(text: string): string {
  const [, name] = /NV Power Mode(?:\[\d+\])?: *([^\s:]{1,40})[ \t]*\r?$/m.exec(text) ?? [];
  if (name === undefined) throw nonsense('a line "NV Power Mode: NAME"', text);
  return name;
}

/** The `< POWER_MODEL ID=0 NAME=MAXN >` lines of nvpmodel.conf, and its default. */
export function parseModes(text: string): Modes {
  const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'));
  const names = new Map<number, string>();
  let preset: number | null = null;
  for (const line of lines) {
    const [, id, name] =
      /<\s*POWER_MODEL\s+ID=(\d{1,3})\s+NAME="?([\w.+-]{1,40})"?/.exec(line) ?? [];
    if (id !== undefined && name !== undefined) names.set(Number(id), name);
    const [, byDefault] = /<\s*PM_CONFIG\s+DEFAULT=(\d{1,3})/.exec(line) ?? [];
    if (byDefault !== undefined) preset = Number(byDefault);
  }
  return { names, preset };
}

function parseStatus(text: string): number | null {
  const [, number] = /\bpmode:(\d{1,4})\b/.exec(text) ?? [];
  return number === undefined ? null : Number(number);
}
