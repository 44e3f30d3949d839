import type { GraphProto } from '../../../model/onnx/generated/messages.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import type { ChannelRanges } from '../../../model/statistics.ts';
import { chooseFactors, targetsOf } from '../../equalize/factors.ts';
import type { ChannelTarget, FactorOptions, GroupReport } from '../../equalize/factors.ts';
import type { Shapes } from '../../equalize/trace.ts';
import { rescale } from './rescale.ts';
import { trace } from './trace.ts';

export interface Equalized {
  readonly model: OnnxModel;
  /** What was scaled; empty when nothing was worth it, and the model is then the same. */
  readonly groups: readonly GroupReport[];
}

/** The tensors whose ranges per channel `equalize` wants to know. */
export function tensorsToEqualize(graph: GraphProto, shapes: Shapes): ChannelTarget[] {
  return targetsOf(trace(graph, shapes));
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
  const { of, groups } = chooseFactors(traced, ranges, options);
  if (groups.length === 0) return { model, groups };
  return { model: withGraph(model, rescale(model.graph, traced.slots, of)), groups };
}
