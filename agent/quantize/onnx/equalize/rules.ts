import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { ELEMENTWISE_RULES } from './elementwise.ts';
import type { Layout } from './layout.ts';
import { MOVING_RULES } from './moving.ts';
import { PRODUCT_RULES } from './products.ts';
import type { Tracer } from './trace.ts';

/**
 * What a node does to factors: the layout of each output, undefined where an output cannot be
 * scaled. Undefined for the whole: the inputs keep the factor 1. A rule that returns outputs has
 * dealt with every input that has a layout.
 */
export type Rule = (node: NodeProto, tracer: Tracer) => readonly (Layout | undefined)[] | undefined;

export const RULES: ReadonlyMap<string, Rule> = new Map([
  ...PRODUCT_RULES,
  ...ELEMENTWISE_RULES,
  ...MOVING_RULES,
]);
