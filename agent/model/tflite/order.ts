import { ModelError } from '../errors.ts';
import type { TfliteGraph } from './types.ts';

/**
 * Runtimes execute operators as they stand. Passes count on it, and on one maker per tensor.
 * @throws ModelError
 */
export function checkOrder(graph: TfliteGraph, position: number): void {
  const makers = new Map<number, number>();
  const place = (index: number) => `subgraphs[${position}].operators[${index}]`;
  graph.operators.forEach(({ outputs }, index) => {
    for (const tensor of outputs) {
      if (makers.has(tensor) || graph.inputs.includes(tensor)) {
        throw new ModelError('MALFORMED', `${place(index)} makes tensor ${tensor} a second time`);
      }
      if (tensor >= 0) makers.set(tensor, index);
    }
  });
  graph.operators.forEach(({ inputs }, index) => {
    for (const tensor of inputs) {
      const maker = makers.get(tensor);
      if (maker === undefined || maker < index) continue;
      throw new ModelError(
        'MALFORMED',
        `${place(index)} reads tensor ${tensor} before operators[${maker}] makes it`,
      );
    }
  });
}
