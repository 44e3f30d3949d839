import type { BenchReport } from '../../contracts/bench.ts';
import { labelOf } from './columns.ts';
import { bytesText, counted, threeDigits } from './words.ts';

/** A heading and the lines under it, for text and Markdown alike. */
export interface FactLine {
  readonly label: string;
  readonly texts: readonly string[];
}

/** CPU features that decide how fast small integers and half floats are. */
const FEATURES: ReadonlyMap<string, string> = new Map([
  ['asimddp', 'INT8 dot product'],
  ['i8mm', 'INT8 matrix products'],
  ['asimdhp', 'FP16 arithmetic'],
  ['bf16', 'BF16'],
  ['sve', 'SVE'],
  ['sve2', 'SVE2'],
  ['avx2', 'AVX2'],
  ['avx512f', 'AVX-512'],
  ['avx512_vnni', 'AVX-512 VNNI'],
  ['avx_vnni', 'AVX VNNI'],
  ['amx_int8', 'AMX INT8'],
]);

/** The machine, the model, what was asked and what was tried, in the order to read them. */
export function factLines(report: BenchReport): readonly FactLine[] {
  return [
    { label: 'Machine', texts: machine(report) },
    { label: 'CPU', texts: [cpu(report.device.cpu)] },
    { label: 'Memory', texts: [memory(report.device.memory)] },
    { label: 'Accelerator', texts: accelerators(report) },
    { label: 'Power', texts: power(report) },
    { label: 'Profile', texts: [profile(report)] },
    { label: 'Model', texts: [model(report)] },
    { label: 'Samples', texts: [samples(report)] },
    { label: 'Objective', texts: [objective(report)] },
    { label: 'Tried', texts: tried(report) },
    { label: 'Engines', texts: engines(report) },
    { label: 'Not tried', texts: report.notTried.map((one) => `${one.precision}: ${one.why}`) },
  ].filter(({ texts }) => texts.length > 0);
}

function machine({ device }: BenchReport): readonly string[] {
  const name = device.board.model ?? 'unknown board';
  const heat = device.thermal
    .flatMap(({ zone, celsius }) => (celsius === null ? [] : [`${zone} ${celsius.toFixed(1)} C`]))
    .slice(0, 1);
  const throttled = device.throttling?.now ?? [];
  return [
    [`${name} (${device.board.id})`, device.os.name ?? '', ...heat].filter(Boolean).join(', '),
    ...(throttled.length > 0 ? [`throttled now: ${throttled.join(', ')}`] : []),
  ];
}

function cpu(facts: BenchReport['device']['cpu']): string {
  const { coresOnline, coresUsable, frequencyCappedToHz } = facts;
  const usable =
    coresUsable === null || coresUsable === coresOnline ? '' : `${coresUsable} usable of `;
  const cores = coresOnline === null ? '' : `${usable}${counted(coresOnline, 'core')}`;
  const features = [...FEATURES].flatMap(([flag, name]) =>
    facts.features.includes(flag) ? [name] : [],
  );
  const cap =
    frequencyCappedToHz === null ? '' : `capped to ${(frequencyCappedToHz / 1e9).toFixed(1)} GHz`;
  const parts = [facts.model ?? 'unknown CPU', facts.arch, cores, features.join(' + '), cap];
  return parts.filter((part) => part !== '').join(', ');
}

function memory({
  totalBytes,
  availableBytes,
  limitBytes,
}: BenchReport['device']['memory']): string {
  const parts = [
    totalBytes === null ? 'unknown size' : bytesText(totalBytes),
    availableBytes === null ? '' : `${bytesText(availableBytes)} available`,
    limitBytes === null ? '' : `limited to ${bytesText(limitBytes)}`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function accelerators({ device }: BenchReport): readonly string[] {
  return device.accelerators.map(({ kind, usable, problem, device: where }) =>
    usable
      ? [kind, ...(where === undefined ? [] : [where])].join(': ')
      : `${kind}, not usable: ${problem ?? 'unknown reason'}`,
  );
}

/** The power mode, whether clocks are held, and the meter, as far as a machine has them. */
function power({ device, conditions }: BenchReport): readonly string[] {
  const { mode = null, clocksLocked = null } = device.power ?? {};
  const source = conditions?.powerSource ?? null;
  const clocks = clocksLocked === true ? 'clocks held' : 'clocks vary';
  const parts = [
    mode === null ? '' : `mode ${mode}`,
    clocksLocked === null ? '' : clocks,
    source === null ? '' : `measured by ${source}`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? [] : [parts.join(', ')];
}

function profile({ device }: BenchReport): string {
  const { id, precisions, runtimes } = device.profile;
  return `${id}: try ${precisions.join(', ')} on ${runtimes.join(', ')}`;
}

function model({ model: { name, format, bytes, sha256 } }: BenchReport): string {
  return `${name}, ${format}, ${bytesText(bytes)}, sha256 ${sha256.slice(0, 12)}`;
}

function samples({ samples: all }: BenchReport): string {
  const { calibration, evaluation, labelled, source, recorded } = all;
  const labels = labelled ? 'labelled' : 'without labels';
  const own = recorded?.used === true ? ' (recorded on this device)' : '';
  return `${calibration} for calibration${own}, ${evaluation} for evaluation (${labels}): ${source}`;
}

function objective({
  objective: { optimize, maxAccuracyDrop, minSqnrDb, maxP90Ms, maxRssBytes, gates = [] },
}: BenchReport) {
  const goal = { latency: 'lowest latency', size: 'smallest file', memory: 'least memory' };
  const parts = [
    goal[optimize],
    maxAccuracyDrop === null
      ? ''
      : `may lose up to ${maxAccuracyDrop.toFixed(1)} points of the task metric`,
    minSqnrDb === null ? '' : `SQNR at least ${minSqnrDb} dB`,
    maxP90Ms === null || maxP90Ms === undefined ? '' : `p90 at most ${maxP90Ms} ms`,
    maxRssBytes === null || maxRssBytes === undefined
      ? ''
      : `peak memory at most ${bytesText(maxRssBytes)}`,
    gates.length === 0 ? '' : `set by the package: ${gates.join(', ')}`,
  ];
  return parts.filter((part) => part !== '').join('; ');
}

/** One line per precision, whatever the thread counts. */
function tried({ candidates }: BenchReport): readonly string[] {
  return [...new Set(candidates.map((row) => `${labelOf(row)}: ${row.why}`))];
}

/** What TensorRT built, and how long that takes on this device. */
function engines({ candidates }: BenchReport): readonly string[] {
  return candidates.flatMap((row) => {
    const { engine } = row;
    if (engine === undefined) return [];
    const { tensorrt, gpu, bytes, buildSeconds, cached, dlaLayers, gpuLayers } = engine;
    const parts = [
      `TensorRT ${tensorrt ?? 'of unknown version'}${gpu === null ? '' : ` on ${gpu}`}`,
      bytesText(bytes),
      `built in ${threeDigits(buildSeconds)} s${cached ? ' by an earlier run' : ''}`,
      dlaLayers === undefined ? '' : `${dlaLayers} layers on the DLA, ${gpuLayers ?? 0} on the GPU`,
    ];
    return [`${labelOf(row)}: ${parts.filter((part) => part !== '').join(', ')}`];
  });
}
