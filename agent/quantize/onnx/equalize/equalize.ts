import type { GraphProto } from '../../../model/onnx/generated/messages.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import type { ChannelRanges } from '../../../model/statistics.ts';
import { chooseFactors } from './factors.ts';
import type { FactorOptions, GroupReport } from './factors.ts';
import { onlyAxis } from './layout.ts';
import { rescale } from './rescale.ts';
import { trace } from './trace.ts';
import type { Shapes } from './trace.ts';

export type { GroupReport } from './factors.ts';

/** A tensor to be looked at channel by channel. */
export interface ChannelTarget {
  readonly name: string;
  readonly axis: number;
}

export interface Equalized {
  readonly model: OnnxModel;
  /** What was scaled; empty when nothing was worth it, and the model is then the same. */
  readonly groups: readonly GroupReport[];
}

/** The tensors whose ranges per channel `equalize` wants to know. */
export function tensorsToEqualize(graph: GraphProto, shapes: Shapes): ChannelTarget[] {
  const traced = trace(graph, shapes);
  return [...traced.layouts].flatMap(([name, layout]) => {
    const axis = onlyAxis(layout);
    const fixed = layout.ids.every((id) => traced.variables.isFixed(id));
    return axis === undefined || fixed ? [] : [{ name, axis }];
  });
}

/**
 * Scales the channels of activations up and down, against the weights before and behind them, so
 * that 8 bits serve all channels alike (cross-layer equalization: Nagel et al. 2019, "Data-Free
 * Quantization", 4.1; SmoothQuant: Xiao et al. 2022). Computes the same function in float.
 * @param model prepared (see prepare/)
 * @param shapes of all tensors whose shape is the same for every sample
 * @param ranges of the tensors that `tensorsToEqualize` named
 */
export function equalize(
  model: OnnxModel,
  shapes: Shapes,
  ranges: ReadonlyMap<string, ChannelRanges>,
  options: FactorOptions = {},
): Equalized {
  const traced = trace(model.graph, shapes);
  const { of, groups } = chooseFactors(traced, model.graph, ranges, options);
  if (groups.length === 0) return { model, groups };
  return { model: withGraph(model, rescale(model.graph, traced.slots, of)), groups };
}
