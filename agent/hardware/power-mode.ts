// The power mode of a Jetson, by name: one number means another mode on each board. `nvpmodel -q`
// may need root; the two files that it keeps do not.
import { nonsense } from './error.ts';
import { foundFact, missFact, readFact, readOptional, type Reading } from './facts-log.ts';

/** What nvpmodel leaves when it sets a mode: `pmode:0002 fmode:quiet`. */
const STATUS = '/var/lib/nvpmodel/status';
const MODES = '/etc/nvpmodel.conf';
const FACT = 'jetson.powerMode';

export interface PowerModes {
  /** The name of the mode that is set, or null. */
  readonly current: string | null;
  /** The names of all modes of this board, in the order of its configuration. */
  readonly all: readonly string[];
}

interface Modes {
  readonly names: ReadonlyMap<number, string>;
  /** The mode after a boot on which none was set. */
  readonly preset: number | null;
}

/** Reads the mode that is set: by the status file, else the default of the configuration. */
export async function readPowerModes(reading: Reading): Promise<PowerModes> {
  const text = await readOptional(reading.tree, MODES);
  const modes = text === null ? null : parseModes(text);
  const set = await readFact(reading, FACT, STATUS, parseStatus, { optional: true });
  const all = [...(modes?.names.values() ?? [])];
  if (modes === null) {
    missFact(reading, FACT, `${MODES}: no such file`);
    return { current: null, all };
  }
  const number = set ?? modes.preset;
  const current = number === null ? undefined : modes.names.get(number);
  if (current === undefined) {
    missFact(
      reading,
      FACT,
      number === null ? `${STATUS}: no such file` : `${MODES} has no mode ${number}`,
    );
  } else if (set === null) foundFact(reading, FACT, MODES);
  return { current: current ?? null, all };
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

function parseStatus(text: string): number {
  const [, number] = /\bpmode:(\d{1,4})\b/.exec(text) ?? [];
  if (number === undefined) throw nonsense('"pmode:0002"', text);
  return Number(number);
}
