import type { Trtexec } from './tool.ts';

/** How an engine is to be built, as data: also what a kept engine is found by. */
export interface EngineOptions {
  /**
   * `fp16`: also for the layers of an `int8` engine that stay out of integers. `int8` is what the ONNX
   * file says by QuantizeLinear and DequantizeLinear, or what `calibration` says.
   */
  readonly precision: 'fp32' | 'fp16' | 'int8';
  /** Number of the DLA core; what it cannot run falls back to the GPU. Null: the GPU alone. */
  readonly dla: number | null;
  /** Of inputs with dimensions that are not fixed: an engine is built for these alone. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Memory that kernels may use while the engine is built and run. */
  readonly workspaceBytes: number;
  /** Text of a calibration table, for INT8 without QuantizeLinear. */
  readonly calibration?: string | undefined;
}

export interface BuildFiles {
  readonly onnx: string;
  readonly engine: string;
  readonly timingCache: string;
  /** File of the calibration table. */
  readonly calibration?: string | undefined;
}

const MEBIBYTE = 2 ** 20;

/** The command line that builds an engine with this trtexec and does nothing else. */
export function buildArguments(
  tool: Pick<Trtexec, 'options'>,
  files: BuildFiles,
  options: EngineOptions,
): readonly string[] {
  const has = (name: string) => tool.options.has(name);
  const workspace = Math.max(16, Math.floor(options.workspaceBytes / MEBIBYTE));
  return [
    `--onnx=${files.onnx}`,
    `--saveEngine=${files.engine}`,
    ...precisionArguments(tool, options),
    ...(options.dla === null ? [] : [`--useDLACore=${options.dla}`, '--allowGPUFallback']),
    ...(files.calibration === undefined ? [] : [`--calib=${files.calibration}`]),
    // 8.4 gave memory pools in place of the workspace; both count in MiB.
    ...(has('--memPoolSize')
      ? [`--memPoolSize=workspace:${workspace}`]
      : [`--workspace=${workspace}`]),
    ...(has('--timingCacheFile') ? [`--timingCacheFile=${files.timingCache}`] : []),
    ...(has('--profilingVerbosity') ? ['--profilingVerbosity=detailed'] : []),
    ...rangeArguments(options.shapes),
    ...onlyBuild(has),
  ];
}

function precisionArguments(
  { options: known }: Pick<Trtexec, 'options'>,
  { precision }: EngineOptions,
): readonly string[] {
  const wanted = {
    // Else TensorRT rounds float32 to 10 bits where the GPU can (Ampere and later).
    fp32: ['--noTF32'],
    fp16: ['--fp16'],
    int8: ['--int8', '--fp16'],
  }[precision];
  // Where networks are always strongly typed, the file alone says the precision.
  return wanted.filter((flag) => known.has(flag));
}

/** 8.6 renamed it; where there is neither, one inference is the least that can be made. */
function onlyBuild(has: (name: string) => boolean): readonly string[] {
  if (has('--skipInference')) return ['--skipInference'];
  if (has('--buildOnly')) return ['--buildOnly'];
  return ['--iterations=1', '--duration=0', '--warmUp=0'];
}

export interface TimeRequest {
  readonly engine: string;
  readonly seconds: number;
  readonly shapes: EngineOptions['shapes'];
  readonly times: string;
}

const WARM_UP_MS = 500;
const MIN_ITERATIONS = 10;

/** Measures latency; copies to and from the GPU are part of it, as they are of an application. */
export function timeArguments({ engine, seconds, shapes, times }: TimeRequest): readonly string[] {
  return [
    `--loadEngine=${engine}`,
    `--warmUp=${WARM_UP_MS}`,
    // Older versions read whole seconds only.
    `--duration=${Math.max(1, Math.ceil(seconds))}`,
    `--iterations=${MIN_ITERATIONS}`,
    '--useSpinWait',
    `--exportTimes=${times}`,
    ...shapeArguments(shapes),
  ];
}

/** Looks at an engine's layers; the profiler slows it down, so not while latency is measured. */
export function profileArguments(
  { options: known }: Pick<Trtexec, 'options'>,
  request: { engine: string; shapes: EngineOptions['shapes']; profile: string; layers: string },
): readonly string[] {
  return [
    `--loadEngine=${request.engine}`,
    '--warmUp=0',
    '--duration=0',
    '--iterations=20',
    `--exportProfile=${request.profile}`,
    ...(known.has('--exportLayerInfo')
      ? [`--exportLayerInfo=${request.layers}`, '--profilingVerbosity=detailed']
      : []),
    ...shapeArguments(request.shapes),
  ];
}

/** Runs one sample: values of inputs by name, and a file for the outputs. */
export function runArguments(request: {
  readonly engine: string;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: string;
  readonly shapes: EngineOptions['shapes'];
}): readonly string[] {
  const loads = Object.entries(request.inputs).map(([name, file]) => `${quoted(name)}:${file}`);
  return [
    `--loadEngine=${request.engine}`,
    '--warmUp=0',
    '--duration=0',
    '--iterations=1',
    ...(loads.length === 0 ? [] : [`--loadInputs=${loads.join(',')}`]),
    `--exportOutput=${request.outputs}`,
    ...shapeArguments(request.shapes),
  ];
}

function rangeArguments(shapes: EngineOptions['shapes']): readonly string[] {
  const text = shapesText(shapes);
  return text === '' ? [] : ['min', 'opt', 'max'].map((end) => `--${end}Shapes=${text}`);
}

function shapeArguments(shapes: EngineOptions['shapes']): readonly string[] {
  const text = shapesText(shapes);
  return text === '' ? [] : [`--shapes=${text}`];
}

function shapesText(shapes: EngineOptions['shapes']): string {
  return Object.entries(shapes)
    .map(([name, shape]) => `${quoted(name)}:${shape.join('x')}`)
    .join(',');
}

/** trtexec reads names in single quotes whole: `images:0` would end at the colon. */
function quoted(name: string): string {
  return /^[\w./-]+$/.test(name) ? name : `'${name}'`;
}
