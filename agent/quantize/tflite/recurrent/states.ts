import { indexGraph, opName, withSubgraph } from '../../../model/tflite/graph.ts';
import { uniqueTensorNames } from '../../../model/tflite/tensor-names.ts';
import type { TfliteGraph, TfliteModel, TfliteOperator } from '../../../model/tflite/types.ts';
import { OP_TABLE } from '../op-table.ts';
import { decodeStored } from '../stored-weights.ts';
import { floatData } from '../../../model/tflite/tensor.ts';
import { Grower } from './grower.ts';
import { addCells } from './lstm-cells.ts';
import { SVDF, whyNotRecurrent } from './layout.ts';
import type { Recurrent } from './layout.ts';

/*
 * A recurrent layer keeps its state to itself. To see what it takes on over a sequence, operators that
 * compute the same from what goes in and out are put beside the layer, for calibration only.
 */

/** What statistics know the state of a recurrent operator by: no tensor of the model has the name. */
export function stateName(names: readonly string[], { outputs }: TfliteOperator): string {
  const taken = new Set(names);
  let name = `${names[outputs[0] ?? -1] ?? ''}_state`;
  while (taken.has(name)) name = `${name}_`;
  return name;
}

/** The names of the states that `withStates` shows. */
export function stateNames(graph: TfliteGraph): readonly string[] {
  const names = uniqueTensorNames(graph);
  return recurrentOf(graph).map(({ operator }) => stateName(names, operator));
}

/** The model with the states of recurrent layers of the main graph as tensors, to be observed. */
export function withStates(model: TfliteModel): TfliteModel {
  const [main] = model.subgraphs;
  if (main === undefined) return model;
  const decoded = decodeStored(main).graph;
  const names = uniqueTensorNames(main);
  let grown = main;
  for (const { operator, kind } of recurrentOf(decoded)) {
    const grower = new Grower(grown, 'state');
    const state =
      kind === 'lstm'
        ? addCells(grower, operator, decoded)
        : addFeatures(grower, operator, decoded);
    grower.rename(state, stateName(names, operator));
    grown = grower.grown();
  }
  return grown === main ? model : withSubgraph(model, 0, grown);
}

function recurrentOf(
  graph: TfliteGraph,
): readonly { readonly operator: TfliteOperator; readonly kind: Recurrent }[] {
  const index = indexGraph(graph);
  return graph.operators.flatMap((operator) => {
    const kind = OP_TABLE.get(opName(operator))?.recurrent;
    if (kind === undefined) return [];
    const [x = -1] = operator.inputs;
    const [y = -1] = operator.outputs;
    const isFloat = [x, y].every((at) => graph.tensors[at]?.type === 'FLOAT32');
    if (!isFloat || whyNotRecurrent(kind, operator, graph, index) !== undefined) return [];
    return [{ operator, kind }];
  });
}

/** The state of an SVDF holds the last results of its first product. */
function addFeatures(grower: Grower, { inputs }: TfliteOperator, decoded: TfliteGraph): number {
  const [x = -1] = inputs;
  const weights = decoded.tensors[inputs[SVDF.feature] ?? -1];
  const [filters = 0] = weights?.shape ?? [];
  const values = weights === undefined ? new Float32Array() : floatData(weights);
  const stored = grower.floats(values, weights?.shape ?? []);
  return grower.make('FULLY_CONNECTED', [x, stored, -1], [grower.shapeOf(x)[0] ?? 1, filters], {
    kind: 'FullyConnectedOptions',
    fusedActivationFunction: 'NONE',
    weightsFormat: 'DEFAULT',
    keepNumDims: false,
    asymmetricQuantizeInputs: false,
    quantizedBiasType: 'FLOAT32',
  });
}
