import type { Scheme } from '../../contracts/scheme.ts';
import { makeNode } from '../../model/onnx/graph.ts';
import { opName } from '../../model/tflite/graph.ts';
import type { TfliteOperator } from '../../model/tflite/types.ts';
import { isExcluded } from '../onnx/excluded.ts';

export const EXCLUDED = 'excluded by request';

/** Whether an operator is to stay in float; operators are named by their labels. */
export function isLeftOut(scheme: Scheme, operator: TfliteOperator, label: string): boolean {
  return isExcluded(scheme, makeNode(opName(operator), [], [label]));
}
