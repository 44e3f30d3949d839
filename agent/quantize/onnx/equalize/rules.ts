import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import type { Found } from '../../equalize/trace.ts';
import { ELEMENTWISE_RULES } from './elementwise.ts';
import { MOVING_RULES } from './moving.ts';
import { PRODUCT_RULES } from './products.ts';
import type { OnnxTracer } from './trace.ts';

/** What a node does to the factors of its inputs. */
export type Rule = (node: NodeProto, tracer: OnnxTracer) => Found;

export const RULES: ReadonlyMap<string, Rule> = new Map([
  ...PRODUCT_RULES,
  ...ELEMENTWISE_RULES,
  ...MOVING_RULES,
]);
