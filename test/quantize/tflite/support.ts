import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MomentsAccumulator } from '../../../agent/calibration/layer-moments.ts';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { uniqueTensorNames } from '../../../agent/model/tflite/tensor-names.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import type { Statistics, TensorStatistics } from '../../../agent/model/statistics.ts';
import { layersToSample } from '../../../agent/quantize/tflite/layers.ts';
import { withStates } from '../../../agent/quantize/tflite/recurrent/states.ts';
import { tensorsToObserve } from '../../../agent/quantize/tflite/static.ts';
import { floatSession } from '../../../agent/runtime/float-session.ts';
import { tfliteRuntime } from '../../../agent/runtime/tflite/tflite.ts';
import type { Feeds, Outputs, Session, Tensor } from '../../../agent/runtime/types.ts';
import { tfliteBytes } from '../../support/tflite-models.ts';
import { floats } from '../support.ts';

/** int8, as TFLite has it. */
export const STATIC: Scheme = { ...schemePresets['int8-static'], activations: 's8' };
export const INT16: Scheme = { ...STATIC, activations: 's16' };

/** What is known without samples. */
export const NOTHING: Statistics = { samples: 0, observer: 'min-max', tensors: new Map() };

/** `plain` runs TFLite's own kernels, without XNNPACK. */
export type Kernels = 'xnnpack' | 'plain';

/** Opens a model in this process, for as long as `use` takes. */
export async function withSession<T>(
  model: TfliteModel,
  kernels: Kernels,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-quantize-'));
  try {
    const path = join(folder, 'model.tflite');
    await writeFile(path, tfliteBytes(model));
    const optimization = kernels === 'xnnpack' ? 'all' : 'disabled';
    const session = await tfliteRuntime.open(path, { threads: 1, optimization, arena: true });
    try {
      return await use(session);
    } finally {
      await session.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The outputs for each sample; integers that stand for numbers are these numbers. */
export function runAll(
  model: TfliteModel,
  samples: readonly Feeds[],
  kernels: Kernels = 'xnnpack',
): Promise<Outputs[]> {
  return withSession(model, kernels, async (session) => {
    const asFloats = floatSession(session);
    const outputs: Outputs[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one run after the other
    for (const feeds of samples) outputs.push(await asFloats.run(feeds));
    return outputs;
  });
}

export async function run(
  model: TfliteModel,
  feeds: Feeds,
  kernels: Kernels = 'xnnpack',
): Promise<Outputs> {
  const [outputs] = await runAll(model, [feeds], kernels);
  return outputs!;
}

/** What calibration with the min-max observer would find: every tensor as an output. */
export async function observe(model: TfliteModel, samples: readonly Feeds[]): Promise<Statistics> {
  const [graph] = withStates(model).subgraphs;
  const names = uniqueTensorNames(graph!);
  const wanted = new Set(tensorsToObserve(model));
  const made = [...graph!.tensors.keys()].filter(
    (at) => wanted.has(names[at]!) && !graph!.inputs.includes(at),
  );
  const tensors = graph!.tensors.map((tensor, at) => ({ ...tensor, name: names[at]! }));
  const open = { ...graph!, tensors, outputs: made.length > 0 ? made : graph!.outputs };
  const exposed = { ...model, subgraphs: model.subgraphs.with(0, open), signatures: [] };
  const outputs = await runAll(exposed, samples, 'plain');
  const found = new Map<string, TensorStatistics>();
  for (const name of wanted) {
    const seen = samples.flatMap((feeds, i) => outputs[i]?.[name] ?? feeds[name] ?? []);
    if (seen.length > 0) found.set(name, statisticsOf(seen));
  }
  return { samples: samples.length, observer: 'min-max', tensors: found };
}

function statisticsOf(seen: readonly Tensor[]): TensorStatistics {
  const [{ shape }] = seen as [Tensor];
  const channels = shape.at(-1) ?? 1;
  const sums = new Float64Array(channels);
  let [min, max, count] = [Infinity, -Infinity, 0];
  for (const { data } of seen) {
    floats(data).forEach((value, i) => {
      min = Math.min(min, value);
      max = Math.max(max, value);
      sums[i % channels]! += value;
    });
    count += data.length / channels;
  }
  const channelMean = sums.map((sum) => sum / count);
  return { dtype: 'float32', shape, min, max, seenMin: min, seenMax: max, channelMean };
}

/** What is seen with layers looked at, too: all rows of what each of them reads. */
export async function observeLayers(
  model: TfliteModel,
  samples: readonly Feeds[],
): Promise<Statistics> {
  const [graph] = model.subgraphs;
  const layers = layersToSample(model);
  const read = [...graph!.tensors.keys()].filter((at) =>
    layers.some(({ tensor }) => tensor === graph!.tensors[at]!.name && !graph!.inputs.includes(at)),
  );
  const shown = { ...model, subgraphs: [{ ...graph!, outputs: read }], signatures: [] };
  const seen = read.length === 0 ? [] : await runAll(shown, samples, 'plain');
  const known = layers.flatMap((layer) => {
    const moments = new MomentsAccumulator(layer, layer.size, 1);
    for (const [at, feeds] of samples.entries()) {
      const { data, shape } = (seen[at]?.[layer.tensor] ?? feeds[layer.tensor])!;
      moments.add(Float32Array.from(floats(data)), shape, Infinity);
    }
    const found = moments.result();
    return found === undefined ? [] : [[layer.key, found] as const];
  });
  return { ...(await observe(model, samples)), layers: new Map(known) };
}

/** The tensor with this name in the main graph. */
export function tensorNamed(model: TfliteModel, name: string) {
  const found = model.subgraphs[0]!.tensors.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no tensor '${name}'`);
  return found;
}

/** Operators of the main graph, in order. */
export function opsOf(model: TfliteModel): string[] {
  return model.subgraphs[0]!.operators.map(({ op }) => op);
}
