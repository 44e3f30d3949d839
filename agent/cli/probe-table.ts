import type { Facts } from '../contracts/facts.ts';
import type { HardwareProfile } from '../contracts/profile.ts';
import { bytesText } from '../fit/report/words.ts';
import { hang } from './text.ts';

const MIN_LABEL_WIDTH = 14;
/** A longer label (the name of a sensor) runs on into its text. */
const MAX_LABEL_WIDTH = 32;
const GAP = 2;

/** A label and the lines beside it; a label is empty where it repeats. */
type Row = readonly [label: string, text: string];

/** Facts as a table for people, at most `width` columns wide. */
export function renderFacts(facts: Facts, profile: HardwareProfile, width: number): string {
  const groups: readonly (readonly [title: string, rows: readonly Row[]])[] = [
    ['Board', boardRows(facts)],
    ['CPU', cpuRows(facts.cpu)],
    ['Memory', memoryRows(facts.memory)],
    ['Jetson', facts.jetson === undefined ? [] : jetsonRows(facts.jetson)],
    ['Accelerators', acceleratorRows(facts.accelerators)],
    ['Heat', heatRows(facts)],
    ['Power', powerRows(facts)],
    ['Profile', profileRows(facts, profile)],
    ['Unknown', facts.unknown.map(({ fact, why }) => ['', `${fact}: ${why}`])],
  ];
  const sections = groups
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => [title, ...renderRows(rows, width)].join('\n'));
  return `${sections.join('\n\n')}\n`;
}

function renderRows(rows: readonly Row[], width: number): readonly string[] {
  const longest = Math.max(...rows.map(([label]) => label.length)) + GAP;
  const labelWidth = Math.min(Math.max(longest, MIN_LABEL_WIDTH), MAX_LABEL_WIDTH);
  return rows.flatMap(([label, text]) => {
    if (label === '') return hang('  - ', text, width);
    if (label.length + GAP > labelWidth) return hang('  ', `${label} ${text}`, width);
    return hang(`  ${label.padEnd(labelWidth)}`, text, width);
  });
}

function boardRows({ board, os }: Facts): readonly Row[] {
  return [
    ['id', board.id],
    ['model', board.model ?? '?'],
    ['system', `${os.name ?? '?'}${os.container ? ', in a container' : ''}`],
    ['kernel', os.kernel ?? '?'],
  ];
}

function cpuRows(cpu: Facts['cpu']): readonly Row[] {
  const usable =
    cpu.coresUsable !== null && cpu.coresUsable !== cpu.coresOnline
      ? `, ${Number(cpu.coresUsable.toFixed(2))} usable`
      : '';
  const cap =
    cpu.frequencyCappedToHz === null ? '' : `, capped to ${megahertz(cpu.frequencyCappedToHz)}`;
  const clocks = `${megahertz(cpu.currentFrequencyHz)} of ${megahertz(cpu.maxFrequencyHz)}${cap}`;
  return [
    [
      'architecture',
      cpu.userland === undefined ? cpu.arch : `${cpu.arch}, programs ${cpu.userland}`,
    ],
    ['model', cpu.model ?? '?'],
    ['cores', `${cpu.coresOnline ?? '?'} online${usable}`],
    ['features', cpu.features.join(' ') || 'none that matter'],
    ...(cpu.maxFrequencyHz === null ? [] : [['clock', clocks] as const]),
    ...(cpu.governor === null ? [] : [['governor', cpu.governor] as const]),
  ];
}

function memoryRows(memory: Facts['memory']): readonly Row[] {
  return [
    ['total', bytes(memory.totalBytes)],
    ['available', bytes(memory.availableBytes)],
    ['limit', memory.limitBytes === null ? 'none' : bytes(memory.limitBytes)],
    ['swap', bytes(memory.swapBytes)],
  ];
}

function jetsonRows(jetson: NonNullable<Facts['jetson']>): readonly Row[] {
  const others = jetson.powerModes.filter((name) => name !== jetson.powerMode);
  const also = others.length === 0 ? '' : ` (others: ${others.join(', ')})`;
  const unflashed = jetson.superMode === false ? '; flashed without the Super modes' : '';
  return [
    ['SoC', jetson.soc ?? '?'],
    ['JetPack', `${jetson.jetpack ?? '?'} (L4T ${jetson.l4t ?? '?'})`],
    ['CUDA', jetson.cuda ?? '?'],
    ['TensorRT', jetson.tensorrt ?? '?'],
    ['power mode', `${jetson.powerMode ?? '?'}${also}${unflashed}`],
  ];
}

function acceleratorRows(accelerators: Facts['accelerators']): readonly Row[] {
  if (accelerators.length === 0) return [['', 'none']];
  return accelerators.map(({ kind, usable, problem, device }) => [
    '',
    `${kind}${device === undefined ? '' : ` (${device})`}: ${usable ? 'usable' : (problem ?? 'not usable')}`,
  ]);
}

function heatRows({ thermal, throttling }: Facts): readonly Row[] {
  const zones = thermal.map(({ zone, celsius }): Row => [
    zone,
    celsius === null ? '?' : `${celsius.toFixed(1)} °C`,
  ]);
  if (throttling === null) return zones;
  return [
    ...zones,
    ['throttled', `${listed(throttling.now)}; since boot: ${listed(throttling.sinceBoot)}`],
  ];
}

function powerRows({ power, gpu }: Facts): readonly Row[] {
  const load = gpu?.loadShare ?? null;
  const share = load === null ? '' : `, ${Math.round(load * 100)} % busy`;
  return [
    ...(power === undefined || power.mode === null ? [] : [['mode', power.mode] as const]),
    ...(power?.rails ?? []).map(({ name, milliwatts }): Row => [
      name,
      milliwatts === null ? 'counts energy' : `${(milliwatts / 1000).toFixed(2)} W`,
    ]),
    ...(gpu === undefined ? [] : [['GPU', `${megahertz(gpu.frequencyHz)}${share}`] as const]),
  ];
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'no' : names.join(', ');
}

function profileRows(facts: Facts, profile: HardwareProfile): readonly Row[] {
  const why = (precision: string) =>
    profile.schemes.find((scheme) => scheme.precision === precision)?.why ?? '';
  return [
    ['id', profile.id],
    ['for', profile.name],
    ['runtimes', facts.profile.runtimes.join(', ') || 'none that is published for this system'],
    ...profile.precisions.map((precision): Row => [precision, why(precision)]),
    ...profile.notWorthTrying.map((skip): Row => [`not ${skip.precision}`, skip.why]),
  ];
}

function megahertz(hz: number | null): string {
  return hz === null ? '?' : `${Math.round(hz / 1e6)} MHz`;
}

function bytes(value: number | null): string {
  return value === null ? '?' : bytesText(value);
}
