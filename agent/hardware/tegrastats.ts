// Lines of `tegrastats`. The form changed with every release: the leading time, the case of names,
// units, one clock for all cores, averages and maxima behind the value, powered-off parts.
import { nonsense } from './error.ts';
import { isRail, type Rail } from './rails.ts';

export interface CoreState {
  /** 0 to 1. */
  readonly loadShare: number;
  readonly frequencyHz: number | null;
}

export interface Tegrastats {
  readonly ramUsedMegabytes: number;
  readonly ramTotalMegabytes: number;
  /** One per core; null for one that is off. */
  readonly cores: readonly (CoreState | null)[];
  /** The busiest part of the GPU; null where the line does not tell. */
  readonly gpuLoadShare: number | null;
  readonly gpuFrequencyHz: number | null;
  /** The memory controller's; only root is told. */
  readonly memoryFrequencyHz: number | null;
  /** Sensors that are on. */
  readonly temperatures: readonly { readonly zone: string; readonly celsius: number }[];
  readonly rails: readonly Rail[];
}

const MHZ = 1_000_000;
/** What a sensor says that is switched off: -256. */
const LOWEST_CELSIUS = -55;

/** Parses one line of any release. Throws for a line of something else. */
export function parseTegrastats(line: string): Tegrastats {
  const [, used, total] = /(?:^|\s)RAM (\d+)\/(\d+)MB/.exec(line) ?? [];
  if (used === undefined || total === undefined) throw nonsense('a line of tegrastats', line);
  return {
    ramUsedMegabytes: Number(used),
    ramTotalMegabytes: Number(total),
    cores: parseCores(line),
    ...parseGpu(line),
    memoryFrequencyHz: highestMhz(/\bEMC(?:_FREQ)? (?:\d+%)?@(\d+)/.exec(line)?.[1]),
    temperatures: parseTemperatures(line),
    rails: parseRails(line),
  };
}

/** `CPU [5%@345,off,7%@345]`, or with one clock for all of them: `cpu [17%,13%]@408`. */
function parseCores(line: string): readonly (CoreState | null)[] {
  const [, list = '', common] = /(?:^|\s)CPU \[([^\]]*)\](?:@(\d+))?/i.exec(line) ?? [];
  return list.split(',').flatMap((core) => {
    if (core.trim() === 'off') return [null];
    const [, percent, own] = /^\s*(\d+)%(?:@(\d+))?\s*$/.exec(core) ?? [];
    if (percent === undefined) return [];
    return [{ loadShare: Number(percent) / 100, frequencyHz: highestMhz(own ?? common) }];
  });
}

/** `GR3D 3%@76`, `GR3D_FREQ 41%`, `63%@[621]`, `@[1574,1574]`; a second one is `GR3D2_FREQ`. */
function parseGpu(line: string): Pick<Tegrastats, 'gpuLoadShare' | 'gpuFrequencyHz'> {
  const parts = [...line.matchAll(/\bGR3D\d?(?:_FREQ)? (?:(\d+)%)?(?:@(?:\[([\d,]+)\]|(\d+)))?/g)];
  const loads = parts.flatMap(([, percent]) =>
    percent === undefined ? [] : [Number(percent) / 100],
  );
  const clocks = parts.flatMap(([, , list, one]) => highestMhz(list ?? one) ?? []);
  return { gpuLoadShare: highest(loads), gpuFrequencyHz: highest(clocks) };
}

/** `CPU@41.4C`, or with the highest so far behind it: `cpu@52.9C/53.1C`. */
function parseTemperatures(line: string): Tegrastats['temperatures'] {
  const found = line.matchAll(/(?<=^|\s)([A-Za-z]\w*)@(-?\d+(?:\.\d+)?)C(?=[\s/]|$)/g);
  return [...found].flatMap(([, zone = '', text]) => {
    const celsius = Number(text);
    return celsius < LOWEST_CELSIUS ? [] : [{ zone, celsius }];
  });
}

/** `VDD_IN 1383/1383`, `VDD_SOC 1428mW/1428mW`, `VIN 28906mW/14453mW/28906mW`: now, average, maximum. */
function parseRails(line: string): readonly Rail[] {
  const found = line.matchAll(
    /(?<=^|\s)([A-Za-z]\w*) (\d+)(?:mW)?\/\d+(?:mW)?(?:\/\d+(?:mW)?)?(?=\s|$)/g,
  );
  return [...found].flatMap(([, name = '', now]) =>
    isRail(name) ? [{ name, milliwatts: Number(now) }] : [],
  );
}

function highestMhz(list: string | undefined): number | null {
  if (list === undefined) return null;
  return highest(list.split(',').map((mhz) => Number(mhz) * MHZ));
}

function highest(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.max(...values);
}
