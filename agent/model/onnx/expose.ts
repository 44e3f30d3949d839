import type { GraphProto } from './generated/messages.ts';
import { indexGraph } from './graph.ts';
import { withGraph } from './open.ts';
import type { OnnxModel } from './open.ts';

/** The model with inner tensors as additional outputs, after its own ones. */
export function exposeTensors(model: OnnxModel, names: Iterable<string>): OnnxModel {
  const { graph } = model;
  const { outputs, producer } = indexGraph(graph);
  const typed = new Map(graph.valueInfo.map((value) => [value.name ?? '', value]));
  const added: GraphProto['output'][number][] = [];
  for (const name of new Set(names)) {
    // Types may be left out: the runtime infers them.
    if (producer.has(name) && !outputs.has(name)) added.push(typed.get(name) ?? { name });
  }
  return withGraph(model, { ...graph, output: [...graph.output, ...added] });
}
