import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import type { Statistics, TensorStatistics } from '../../../model/statistics.ts';

/** A graph in another order, and what calibration says about the tensors that this made. */
export interface Rearranged {
  readonly graph: GraphProto;
  readonly statistics: Statistics;
  /** Nodes that are to stay as they are. */
  readonly isExcluded?: (node: NodeProto) => boolean;
}

export function withTensors(
  statistics: Statistics,
  added: ReadonlyMap<string, TensorStatistics>,
): Statistics {
  return { ...statistics, tensors: new Map([...statistics.tensors, ...added]) };
}
