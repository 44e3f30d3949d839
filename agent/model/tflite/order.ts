import { ModelError } from '../errors.ts';
import type { TfliteGraph } from './types.ts';

/**
 * Runtimes execute operators as they stand. Passes count on it, and on one maker per tensor.
 * @throws ModelError
 */
export function checkOrder(graph: TfliteGraph, position: number): void {
  const inputs = new Set(graph.inputs);
  const makers = new Map<number, number>();
  const place = (index: number) => `subgraphs[${position}].operators[${index}]`;
  graph.operators.forEach(({ outputs }, index) => {
    for (const tensor of outputs) {
      if (makers.has(tensor) || inputs.has(tensor)) {
        throw new ModelError('MALFORMED', `${place(index)} makes tensor ${tensor} a second time`);
      }
      if (tensor >= 0) makers.set(tensor, index);
    }
  });
  graph.operators.forEach((operator, index) => {
    for (const tensor of operator.inputs) {
      const maker = makers.get(tensor);
      if (maker === undefined || maker < index) continue;
      throw new ModelError(
        'MALFORMED',
        `${place(index)} reads tensor ${tensor} before operators[${maker}] makes it`,
      );
    }
  });
}
