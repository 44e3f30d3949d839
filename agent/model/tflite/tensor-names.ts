import { uniqueNames } from '../names.ts';

/**
 * A name for every tensor of a subgraph, by index. A .tflite file may leave names empty or use one
 * twice, and feeds, outputs and ranges are told apart by name. So, in this order: inputs, outputs,
 * then the other tensors by index; each keeps its name if nobody has it yet, and gets `_2`, `_3`, ...
 * behind it otherwise. An empty name becomes `tensor`. What a model declares is thus changed only
 * where it would be ambiguous, and everybody who reads the file gets the same names.
 */
export function uniqueTensorNames(graph: {
  readonly tensors: readonly { readonly name: string }[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}): readonly string[] {
  const names: string[] = graph.tensors.map(() => '');
  const unique = uniqueNames(new Set(), 2);
  for (const index of [...graph.inputs, ...graph.outputs, ...graph.tensors.keys()]) {
    const tensor = graph.tensors[index];
    if (tensor === undefined || names[index] !== '') continue;
    names[index] = unique(tensor.name === '' ? 'tensor' : tensor.name);
  }
  return names;
}
