import type { Facts } from '../contracts/facts.ts';
import type { HardwareProfile } from '../contracts/profile.ts';

const WIDTH = 80;
const LABEL_WIDTH = 14;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** A label and the lines beside it; a label is empty where it repeats. */
type Row = readonly [label: string, text: string];

/** Facts as a table for people, at most 80 columns wide. */
export function renderFacts(facts: Facts, profile: HardwareProfile): string {
  const groups: readonly (readonly [title: string, rows: readonly Row[]])[] = [
    ['Board', boardRows(facts)],
    ['CPU', cpuRows(facts.cpu)],
    ['Memory', memoryRows(facts.memory)],
    ['Accelerators', acceleratorRows(facts.accelerators)],
    ['Heat', heatRows(facts)],
    ['Profile', profileRows(profile)],
    ['Unknown', facts.unknown.map(({ fact, why }) => ['', `${fact}: ${why}`])],
  ];
  return groups
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => [title, ...rows.flatMap(renderRow)].join('\n'))
    .join('\n\n');
}

function renderRow([label, text]: Row): readonly string[] {
  const indent = label === '' ? 4 : LABEL_WIDTH + 2;
  const [first = '', ...rest] = wrap(text, WIDTH - indent);
  const head = label === '' ? `  - ${first}` : `  ${label.padEnd(LABEL_WIDTH)}${first}`;
  return [head, ...rest.map((line) => ' '.repeat(indent) + line)];
}

/** Breaks at spaces; a word longer than a line (a path) is cut. */
function wrap(text: string, width: number): readonly string[] {
  const words = text
    .split(' ')
    .flatMap((word) => word.match(new RegExp(`.{1,${width}}`, 'gu')) ?? []);
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
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
    ['architecture', cpu.arch],
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

function acceleratorRows(accelerators: Facts['accelerators']): readonly Row[] {
  if (accelerators.length === 0) return [['', 'none']];
  return accelerators.map(({ kind, usable, problem, device }) => [
    '',
    `${kind}${device === undefined ? '' : ` (${device})`}: ${usable ? 'usable' : (problem ?? 'not usable')}`,
  ]);
}

function heatRows({ thermal, throttling }: Facts): readonly Row[] {
  const zones = thermal.map(({ zone, celsius }): Row => [
    zone.padEnd(LABEL_WIDTH),
    celsius === null ? '?' : `${celsius.toFixed(1)} °C`,
  ]);
  if (throttling === null) return zones;
  return [
    ...zones,
    ['throttled', `${listed(throttling.now)}; since boot: ${listed(throttling.sinceBoot)}`],
  ];
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'no' : names.join(', ');
}

function profileRows(profile: HardwareProfile): readonly Row[] {
  const why = (precision: string) =>
    profile.schemes.find((scheme) => scheme.precision === precision)?.why ?? '';
  return [
    ['id', profile.id],
    ['for', profile.name],
    ['runtimes', profile.runtimes.join(', ')],
    ...profile.precisions.map((precision): Row => [precision, why(precision)]),
    ...profile.notWorthTrying.map((skip): Row => [`not ${skip.precision}`, skip.why]),
  ];
}

function megahertz(hz: number | null): string {
  return hz === null ? '?' : `${Math.round(hz / 1e6)} MHz`;
}

function bytes(value: number | null): string {
  if (value === null) return '?';
  return value >= GIB ? `${(value / GIB).toFixed(1)} GiB` : `${Math.round(value / MIB)} MiB`;
}
