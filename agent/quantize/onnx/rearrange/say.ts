import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { makeNode } from '../../../model/onnx/graph.ts';
import type { AttributeValue, GraphIndex } from '../../../model/onnx/graph.ts';
import type { Statistics, TensorStatistics } from '../../../model/statistics.ts';

/** What a rewrite of one node may ask and leave behind. */
export interface Tools {
  readonly index: GraphIndex;
  readonly statistics: Statistics;
  readonly unique: (wish: string) => string;
  /** Adds an initializer. */
  readonly constant: (tensor: TensorProto) => void;
  /** Says what a new tensor holds. */
  readonly observe: (name: string, seen: TensorStatistics) => void;
}

/** Nodes that compute the same as one node; undefined where that one had better stay. */
export type Say = (node: NodeProto, tools: Tools) => readonly NodeProto[] | undefined;

/** The op that makes the node's output, under its name. */
export function endOf(
  node: NodeProto,
  op: string,
  input: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeProto {
  const name = node.name === undefined ? {} : { name: node.name };
  return makeNode(op, input, node.output, { attributes, ...name });
}
