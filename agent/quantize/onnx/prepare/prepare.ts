import { dropUnused } from '../../../model/onnx/edit.ts';
import type { GraphProto } from '../../../model/onnx/generated/messages.ts';
import { mapGraphs } from '../../../model/onnx/graph.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { withUniqueNames } from '../../../model/onnx/unique-names.ts';
import { boundsToClips } from './bounds.ts';
import { constantNodesToInitializers, initializersAreNoInputs } from './constants.ts';
import { foldAffine } from './fold-affine.ts';
import { flattenPool } from './flatten-pool.ts';
import { foldPad } from './fold-pad.ts';
import { dropNotes, removeIdentities } from './tidy.ts';
import { unfuse } from './unfuse.ts';
import { upgradeOpset } from './upgrade-opset.ts';

type Pass = (graph: GraphProto) => GraphProto;

/** Makes every constant visible; comes before the constant part is computed. */
const FIRST: readonly Pass[] = [
  initializersAreNoInputs,
  constantNodesToInitializers,
  unfuse,
  removeIdentities,
];

/** Brings the graph into the form that integer kernels fuse in; dead readers would be in the way. */
const THEN: readonly Pass[] = [
  dropUnused,
  removeIdentities,
  boundsToClips,
  foldAffine,
  foldPad,
  flattenPool,
  dropUnused,
  dropNotes,
];

/** Brings the model to a current opset and makes every constant, bodies included, an initializer. */
export function exposeConstants(model: OnnxModel): OnnxModel {
  return throughPasses(upgradeOpset(model), FIRST);
}

/**
 * Folds and tidies a model whose constants are initializers; no tensor name is used twice. Computes
 * the same function.
 */
export function simplify(model: OnnxModel): OnnxModel {
  const folded = throughPasses(model, THEN);
  return withGraph(folded, withUniqueNames(folded.graph));
}

function throughPasses(model: OnnxModel, passes: readonly Pass[]): OnnxModel {
  const all: Pass = (graph) => passes.reduce((current, pass) => pass(current), graph);
  return withGraph(model, mapGraphs(model.graph, all));
}
