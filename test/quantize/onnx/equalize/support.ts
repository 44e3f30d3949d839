import { exposeTensors } from '../../../../agent/model/onnx/expose.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import type { ChannelRanges } from '../../../../agent/model/statistics.ts';
import { equalize, tensorsToEqualize } from '../../../../agent/quantize/onnx/equalize/equalize.ts';
import type { Equalized } from '../../../../agent/quantize/onnx/equalize/equalize.ts';
import type { FactorOptions } from '../../../../agent/quantize/equalize/factors.ts';
import type { Feeds, Tensor } from '../../../../agent/runtime/types.ts';
import { floats, runAll } from '../../support.ts';

/** Equalizes with what samples show, computed here apart from the collector. */
export async function equalized(
  model: OnnxModel,
  samples: readonly Feeds[],
  options: FactorOptions = {},
): Promise<Equalized> {
  const names = model.graph.node.flatMap(({ output }) => output);
  const outputs = await runAll(exposeTensors(model, names), samples, 'disabled');
  const [first = {}] = outputs;
  const shapes = new Map(
    Object.entries({ ...samples[0], ...first }).map(([name, { shape }]) => [name, shape]),
  );
  const ranges = new Map(
    tensorsToEqualize(model.graph, shapes).map(({ name, axis }) => [
      name,
      rangesOf(
        outputs.map((values) => values[name]!),
        axis,
      ),
    ]),
  );
  return equalize(model, shapes, ranges, options);
}

function rangesOf(tensors: readonly Tensor[], axis: number): ChannelRanges {
  const count = tensors[0]!.shape[axis]!;
  const values: number[][] = Array.from({ length: count }, () => []);
  for (const { shape, data } of tensors) {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    floats(data).forEach((value, i) => values[Math.floor(i / inner) % count]!.push(value));
  }
  const each = (use: (own: readonly number[]) => number) => Float64Array.from(values, use);
  const mean = (own: readonly number[]) => own.reduce((a, b) => a + b, 0) / own.length;
  return {
    min: each((own) => Math.min(...own)),
    max: each((own) => Math.max(...own)),
    variance: each((own) => {
      const center = mean(own);
      return mean(own.map((value) => (value - center) ** 2));
    }),
  };
}
