import { addTensor, applyEdit, newEdit } from '../../model/tflite/edit.ts';
import type { GraphEdit } from '../../model/tflite/edit.ts';
import { tensorNameMaker } from '../../model/tflite/graph.ts';
import { makeOperator } from '../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { operatorVersion } from './op-versions.ts';

/** What was made of constants. Tensors that shared their bytes, in any subgraph, share the result. */
export class MadeOnce {
  private readonly made = new Map<Uint8Array, Map<string, TfliteTensor>>();

  /** The result for these bytes in this shape; `form` tells one way of storing them from another. */
  take(tensor: TfliteTensor, form: string, make: () => TfliteTensor): TfliteTensor {
    if (tensor.data === null) return make();
    const forms = this.made.get(tensor.data) ?? new Map<string, TfliteTensor>();
    this.made.set(tensor.data, forms);
    const key = `${form} [${tensor.shape.join()}]`;
    const found = forms.get(key) ?? make();
    forms.set(key, found);
    return { ...tensor, type: found.type, data: found.data, quantization: found.quantization };
  }

  /** A form in which these bytes are stored already, in this shape. */
  known(tensor: TfliteTensor): string | undefined {
    const forms = tensor.data === null ? undefined : this.made.get(tensor.data);
    const shape = ` [${tensor.shape.join()}]`;
    const key = [...(forms?.keys() ?? [])].find((one) => one.endsWith(shape));
    return key?.slice(0, -shape.length);
  }
}

/**
 * Changes to one graph that store its constants in fewer bits. A constant keeps its place: whoever
 * does not take the new form reads it as before, from a DEQUANTIZE.
 */
export class GraphRewrite {
  readonly graph: TfliteGraph;
  private readonly made: MadeOnce;
  private readonly edit: GraphEdit;
  private readonly unique: (wish: string) => string;
  /** Index of a constant -> form -> index of the tensor that holds it so. */
  private readonly stored = new Map<number, Map<string, number>>();

  constructor(graph: TfliteGraph, made: MadeOnce) {
    this.graph = graph;
    this.made = made;
    this.edit = newEdit(graph);
    this.unique = tensorNameMaker(graph);
  }

  /** The index of a constant in another form. */
  store(index: number, form: string, make: (tensor: TfliteTensor) => TfliteTensor): number {
    const forms = this.stored.get(index) ?? new Map<string, number>();
    this.stored.set(index, forms);
    const before = forms.get(form);
    if (before !== undefined) return before;
    const tensor = this.tensor(index);
    const made = this.made.take(tensor, form, () => make(tensor));
    const name = this.unique(`${tensor.name}_${made.type.toLowerCase()}`);
    const added = this.add({ ...made, name });
    forms.set(form, added);
    return added;
  }

  tensor(index: number): TfliteTensor {
    const found = this.graph.tensors[index] ?? this.edit.added[index - this.edit.firstAdded];
    if (found === undefined) throw new RangeError(`no tensor ${index}`);
    return found;
  }

  add(tensor: TfliteTensor): number {
    return addTensor(this.edit, tensor);
  }

  name(wish: string): string {
    return this.unique(wish);
  }

  replace(operator: TfliteOperator, ...by: readonly TfliteOperator[]): void {
    this.edit.replace.set(operator, by);
  }

  /** The graph with a DEQUANTIZE before the first reader of each constant that some still read. */
  finish(): TfliteGraph {
    const graph = applyEdit(this.graph, this.edit);
    const read = new Set(graph.operators.flatMap(({ inputs }) => inputs).concat(graph.outputs));
    const decoders = new Map<number, TfliteOperator>();
    for (const [index, forms] of this.stored) {
      const [stored] = forms.values();
      if (stored !== undefined && read.has(index)) {
        decoders.set(index, dequantize(this.tensor(stored), stored, index));
      }
    }
    if (decoders.size === 0) return graph;
    return {
      ...graph,
      tensors: graph.tensors.map((one, index) =>
        decoders.has(index) ? { ...one, data: null } : one,
      ),
      operators: placed(graph.operators, decoders),
    };
  }
}

/** A DEQUANTIZE; its result is made once, when the model is loaded, where it reads a constant. */
export function dequantize(stored: TfliteTensor, from: number, to: number): TfliteOperator {
  const options = { kind: 'DequantizeOptions' } as const;
  const made = makeOperator({ op: 'DEQUANTIZE', inputs: [from], outputs: [to], options });
  return { ...made, version: operatorVersion(made, (at) => (at === from ? stored : undefined)) };
}

/** Each decoder right before the first operator that reads what it makes, or last. */
function placed(
  operators: readonly TfliteOperator[],
  decoders: Map<number, TfliteOperator>,
): readonly TfliteOperator[] {
  const waiting = new Map(decoders);
  const ordered = operators.flatMap((operator) => {
    const now = [...new Set(operator.inputs)].flatMap((index) => waiting.get(index) ?? []);
    for (const index of operator.inputs) waiting.delete(index);
    return [...now, operator];
  });
  return [...ordered, ...waiting.values()];
}
