// @ts-check
// Inputs and outputs of one model under the names that another has for them.

/** @typedef {import('../../agent/model/tflite/types.ts').TfliteModel} TfliteModel */

/**
 * Samples and references are told apart by name, and converters name the same input differently.
 * @param {TfliteModel} model
 * @param {TfliteModel} like
 * @returns {TfliteModel}
 */
export function renamed(model, like) {
  const [graph] = model.subgraphs;
  const [other] = like.subgraphs;
  if (graph === undefined || other === undefined) return model;
  /** @type {Map<number, string>} */
  const names = new Map();
  for (const side of /** @type {const} */ (['inputs', 'outputs'])) {
    graph[side].forEach((tensor, place) => {
      const name = other.tensors[other[side][place] ?? -1]?.name;
      if (name !== undefined) names.set(tensor, name);
    });
  }
  const taken = new Set(names.values());
  const tensors = graph.tensors.map((tensor, at) => {
    const name = names.get(at) ?? (taken.has(tensor.name) ? `${tensor.name}_inside` : tensor.name);
    return { ...tensor, name };
  });
  return { ...model, subgraphs: [{ ...graph, tensors }, ...model.subgraphs.slice(1)] };
}
