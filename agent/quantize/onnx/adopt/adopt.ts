import { dropUnused } from '../../../model/onnx/edit.ts';
import type { GraphProto } from '../../../model/onnx/generated/messages.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { QuantizeError } from '../../errors.ts';
import type { Quantized } from '../../report.ts';
import { foldAffine } from '../prepare/fold-affine.ts';
import { exposeConstants } from '../prepare/prepare.ts';
import { dropNotes } from '../prepare/tidy.ts';
import { integerBiases } from './bias.ts';
import { dropClamps, integerClamps } from './clamps.ts';
import { dropRepeats, storeConstants } from './constants.ts';
import { floatWeights } from './float-weights.ts';
import { quantizedKind } from './kind.ts';
import type { QuantizedKind } from './kind.ts';
import { spreadIntegers } from './layout.ts';
import { expandOperators, hasSignedOperators } from './qoperator.ts';
import { fromQonnx } from './qonnx.ts';
import { reportAdopted } from './report.ts';
import { foldRescaling } from './rescale.ts';
import { unsignedActivations } from './unsigned.ts';

export interface Adopted extends Quantized<OnnxModel> {
  readonly kind: QuantizedKind;
  /** What was changed, one line each; empty where the model is kept as it is. */
  readonly changes: readonly string[];
}

export interface AdoptOptions {
  /** The type of activations that this CPU has the fastest kernels for. */
  readonly activations: 'u8' | 's8';
}

/**
 * Takes over a model that somebody has quantized before us: its integers, scales and zero points stay
 * as they are, in the form that onnxruntime fuses into integer kernels. What is in that form already
 * is given back untouched.
 * @throws QuantizeError when the model is not quantized, or holds what no runtime here can run
 */
export function adoptQuantized(model: OnnxModel, options: AdoptOptions): Adopted {
  const kind = quantizedKind(model);
  if (kind === undefined) {
    throw new QuantizeError('NOT_CONVERTIBLE', 'the model is not quantized yet');
  }
  const { changed, changes } = converted(model, kind, options);
  const result = changes.length === 0 ? model : changed;
  return { model: result, ops: reportAdopted(result.graph), kind, changes };
}

/**
 * A model in a form that onnxruntime can load and that computes what the model says: QONNX has to be
 * translated first, everything else is fine as it is.
 * @throws QuantizeError for what has no counterpart in onnxruntime
 */
export function runnableForm(model: OnnxModel, { activations }: AdoptOptions): OnnxModel {
  if (quantizedKind(model) !== 'qonnx') return model;
  return fromQonnx(exposeConstants(model), activations);
}

interface Step {
  readonly what: string;
  readonly pass: (graph: GraphProto) => GraphProto;
}

/** In this order: what one step brings to light is what the next one looks for. */
const STEPS: readonly Step[] = [
  { what: 'weights stored as integers', pass: storeConstants },
  {
    what: 'arithmetic behind convolutions folded into weight scales and biases',
    pass: foldRescaling,
  },
  { what: 'clamps left out that quantization implies', pass: dropClamps },
  { what: 'layout operators moved onto integers', pass: spreadIntegers },
  { what: 'clamps moved onto integers', pass: integerClamps },
  { what: 'repeated quantization left out', pass: dropRepeats },
  { what: 'float weights where no integer kernel fits', pass: floatWeights },
  { what: 'float arithmetic folded into weights', pass: foldAffine },
  { what: 'biases stored as int32', pass: integerBiases },
];

const UNSIGNED: Step = {
  what: 'int8 activations made uint8, which is faster on this CPU',
  pass: unsignedActivations,
};

const OPERATORS: Step = {
  what: 'int8 operators taken apart for the runtime to fuse as uint8',
  pass: expandOperators,
};

function converted(
  model: OnnxModel,
  kind: QuantizedKind,
  { activations }: AdoptOptions,
): { readonly changed: OnnxModel; readonly changes: readonly string[] } {
  const changes: string[] = [];
  if (kind === 'dynamic' || kind === 'weight-only') return { changed: model, changes };
  let current = kind === 'qonnx' ? runnableForm(model, { activations }) : exposeConstants(model);
  if (kind === 'qonnx') changes.push('Quant nodes made QuantizeLinear and DequantizeLinear');
  for (const { what, pass } of stepsFor(current, kind, activations)) {
    const graph = pass(current.graph);
    if (graph === current.graph) continue;
    changes.push(what);
    current = withGraph(current, graph);
  }
  return { changed: withGraph(current, dropNotes(dropUnused(current.graph))), changes };
}

function stepsFor(
  { graph }: OnnxModel,
  kind: QuantizedKind,
  activations: 'u8' | 's8',
): readonly Step[] {
  const unsigned = activations === 'u8';
  if (kind !== 'qoperator') return unsigned ? [...STEPS, UNSIGNED] : STEPS;
  return unsigned && hasSignedOperators(graph) ? [OPERATORS, ...STEPS, UNSIGNED] : [];
}
