import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { indexGraph, opName, subgraphsOf } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import type { Statistics, TensorStatistics } from '../../model/statistics.ts';
import { affineParams } from '../arithmetic.ts';
import type { QuantParams, QuantType } from '../arithmetic.ts';
import { convShape } from './conv-shape.ts';
import type { ConvShape } from './conv-shape.ts';
import { planFold } from './fold-pixels.ts';
import { padded, planPads } from './pad-channels.ts';
import type { ChannelPad, PadSite } from './pad-channels.ts';
import { hasFixedSize } from './fixed-size.ts';
import { slowConv } from './slow-conv.ts';
import type { PixelFold } from './fold-pixels.ts';
import { clampBounds, isSuperfluous } from './clamps.ts';
import { allFinite, obstacle } from './obstacles.ts';
import { isExcluded } from './excluded.ts';
import { inputsToShield } from './shield.ts';
import { OP_TABLE, REWRITTEN, whyFloat } from './op-table.ts';
import type { OpRule } from './op-table.ts';
import { opRuleOf } from './relabel.ts';
import { LARGEST_POOLED } from './rearrange/average-by-conv.ts';

/** A node that will run in integers. */
export interface IntegerUnit {
  readonly node: NodeProto;
  readonly rule: OpRule;
  /** Data inputs that are activations. */
  readonly inputs: readonly string[];
  /** Data inputs that are constants. */
  readonly constants: readonly string[];
  /** The tensor that leaves the unit: of the clamp behind it, where that was absorbed. */
  readonly outputs: readonly string[];
  /** A Relu or Clip that the quantized range makes superfluous. */
  readonly absorbed?: NodeProto;
  /** False where the kernel can hand on float (matrix products before float ops). */
  readonly quantizedOutput: boolean;
}

/** Why a node stays float that no sample came by. */
export const UNSEEN = 'no finite range was seen';

/** Everything static quantization will do, decided before anything is changed. */
export interface StaticPlan {
  readonly units: ReadonlyMap<NodeProto, IntegerUnit>;
  readonly tensors: ReadonlyMap<string, QuantParams>;
  readonly reasons: ReadonlyMap<NodeProto, string>;
  /** Float nodes that the runtime would quantize unasked, with the input to keep it from that. */
  readonly shields: ReadonlyMap<NodeProto, string>;
  /** Convolutions that run faster with neighbouring pixels as channels. */
  readonly folds: ReadonlyMap<NodeProto, PixelFold>;
  /** Convolutions around a depthwise one that run faster with its channels filled up. */
  readonly pads: ReadonlyMap<NodeProto, ChannelPad>;
}

interface Draft {
  readonly index: GraphIndex;
  readonly statistics: Statistics;
  readonly scheme: Scheme;
  readonly units: Map<NodeProto, IntegerUnit>;
  /** Clamps that were absorbed, with the unit in front of them. */
  readonly absorbed: Map<NodeProto, IntegerUnit>;
  readonly reasons: Map<NodeProto, string>;
}

/** Decides for the main graph which nodes run in integers, with which scales; and why others don't. */
export function planStatic(graph: GraphProto, statistics: Statistics, scheme: Scheme): StaticPlan {
  const draft: Draft = {
    index: indexGraph(graph),
    statistics,
    scheme,
    units: new Map(),
    absorbed: new Map(),
    reasons: new Map(),
  };
  for (const node of graph.node) consider(draft, node);
  // Where there is no float, speed is no reason to prefer it.
  if (scheme.integerOnly !== true) pruneTails(draft, graph);
  const units = finishOutputs(draft);
  const pads = choosePads(graph, units, draft);
  const isExcludedHere = (node: NodeProto) => isExcluded(scheme, node);
  return {
    units,
    tensors: chooseParams(graph, units, draft),
    reasons: draft.reasons,
    shields: inputsToShield(graph.node, {
      index: draft.index,
      units,
      isExcluded: isExcludedHere,
    }),
    folds: chooseFolds(graph, { units, pads }, draft),
    pads,
  };
}

/** Only for u8 activations, which are for x86: the kernels that were measured. */
function chooseFolds(
  graph: GraphProto,
  { units, pads }: Pick<StaticPlan, 'units' | 'pads'>,
  draft: Draft,
): ReadonlyMap<NodeProto, PixelFold> {
  const folds = new Map<NodeProto, PixelFold>();
  if (activationType(draft.scheme) !== 'u8') return folds;
  for (const [node, { rule, inputs }] of units) {
    const shape = rule.role === 'conv' ? shapeOf(draft, node, inputs[0]) : undefined;
    const fold = shape === undefined ? undefined : planFold(padded(shape, pads.get(node)));
    // A fold writes sizes down.
    if (fold && hasFixedSize(inputs[0] ?? '', fold.axis + 2, graph, draft)) folds.set(node, fold);
  }
  return folds;
}

/** For u8 activations only, like folds. */
function choosePads(
  graph: GraphProto,
  units: ReadonlyMap<NodeProto, IntegerUnit>,
  draft: Draft,
): ReadonlyMap<NodeProto, ChannelPad> {
  if (activationType(draft.scheme) !== 'u8') return new Map();
  const sites: PadSite<NodeProto>[] = [];
  for (const [node, { rule, inputs, outputs }] of units) {
    const shape = rule.role === 'conv' ? shapeOf(draft, node, inputs[0]) : undefined;
    if (shape === undefined) continue;
    const [output = ''] = outputs;
    const [reader, ...others] = draft.index.consumers.get(output) ?? [];
    const isSeen = others.length > 0 || draft.index.outputs.has(output);
    const fold = planFold(shape);
    const mayFold =
      fold !== undefined && hasFixedSize(inputs[0] ?? '', fold.axis + 2, graph, draft);
    sites.push({ node, shape, next: isSeen ? undefined : reader, mayFold });
  }
  return planPads(sites);
}

function shapeOf({ index, statistics }: Draft, node: NodeProto, input = ''): ConvShape | undefined {
  const weights = index.initializers.get(node.input[1] ?? '')?.dims ?? [];
  return convShape(node, statistics.tensors.get(input)?.shape ?? [], weights);
}

/** Tensors whose ranges the plan may ask for, those of bodies included. */
export function tensorsToObserve(graph: GraphProto): Set<string> {
  const index = indexGraph(graph);
  const names = new Set<string>();
  for (const node of graph.node) {
    for (const body of subgraphsOf(node))
      for (const name of tensorsToObserve(body)) names.add(name);
    const rule = OP_TABLE.get(opName(node)) ?? REWRITTEN.get(opName(node));
    if (rule === undefined) continue;
    for (const name of dataInputs(node, rule)) if (!index.initializers.has(name)) names.add(name);
    for (const name of node.output) if (name !== '') names.add(name);
  }
  return names;
}

function dataInputs(node: NodeProto, rule: OpRule): string[] {
  const positions = rule.data === 'all' ? node.input.map((_, i) => i) : rule.data;
  return positions.flatMap((position) => node.input[position] ?? []);
}

function consider(draft: Draft, node: NodeProto): void {
  const unit = asUnit(draft, node);
  if (typeof unit === 'string') draft.reasons.set(node, unit);
  if (typeof unit !== 'object') return;
  draft.units.set(node, unit);
  if (unit.absorbed !== undefined) draft.absorbed.set(unit.absorbed, unit);
}

/** The node as an integer unit; or why not; or undefined for what an integer unit absorbed. */
function asUnit(draft: Draft, node: NodeProto): IntegerUnit | string | undefined {
  if (draft.absorbed.has(node)) return undefined;
  const rule = opRuleOf(node, draft.index);
  if (rule === undefined) return whyFloat(opName(node));
  if (isExcluded(draft.scheme, node)) return 'excluded by request';
  const problem = problemOf(draft, node, rule);
  if (problem !== undefined) return problem;
  const { activations, constants } = operands(draft, node, rule);
  const absorbed = keepsBytes(rule) ? undefined : absorbableClamp(draft, node, rule);
  const outputs = (absorbed ?? node).output.filter((name) => name !== '');
  const unseen = [...activations, ...outputs].find((name) => !statisticsOf(draft, name));
  if (unseen !== undefined) return `${UNSEEN} for '${unseen}'`;
  return {
    node,
    rule,
    inputs: activations,
    constants: constants.map(({ name }) => name),
    outputs,
    quantizedOutput: true,
    ...(absorbed === undefined ? {} : { absorbed }),
  };
}

function statisticsOf({ statistics }: Draft, name: string): TensorStatistics | undefined {
  const found = statistics.tensors.get(name);
  const usable = Number.isFinite(found?.min) && Number.isFinite(found?.max);
  return usable && found?.dtype === 'float32' ? found : undefined;
}

/** What keeps this node from its integer kernel, in words; undefined when nothing does. */
function problemOf(draft: Draft, node: NodeProto, rule: OpRule): string | undefined {
  if (rule.role === 'clamp') return 'not behind an integer op whose range makes it superfluous';
  const problem = obstacle(node, rule, draft.index);
  if (problem !== undefined) return problem;
  const { activations, constants } = operands(draft, node, rule);
  if (activations.length === 0) return 'computes on constants only';
  const infinite = constants.find(({ tensor }) => !allFinite(tensor));
  if (infinite !== undefined) return `its constant '${infinite.name}' is not finite`;
  if (draft.scheme.integerOnly === true) return undefined;
  if (rule.role === 'conv') return convProblem(draft, node, activations);
  if (!isIsland(rule)) return undefined;
  return islandProblem(draft, activations) ?? slowPool(draft, node, activations);
}

function convProblem(
  draft: Draft,
  node: NodeProto,
  [input = '']: readonly string[],
): string | undefined {
  const shape = shapeOf(draft, node, input);
  // Measured on x86, for which u8 activations are.
  if (shape === undefined || activationType(draft.scheme) !== 'u8') return undefined;
  return slowConv(shape, makerUnit(draft, input) !== undefined);
}

interface Operands {
  readonly activations: readonly string[];
  readonly constants: readonly { readonly name: string; readonly tensor: TensorProto }[];
}

function operands({ index }: Draft, node: NodeProto, rule: OpRule): Operands {
  const names = dataInputs(node, rule);
  return {
    activations: names.filter((name) => !index.initializers.has(name)),
    constants: names.flatMap((name) => {
      const tensor = index.initializers.get(name);
      return tensor === undefined ? [] : [{ name, tensor }];
    }),
  };
}

/** Ops of little work, which pay only among integer neighbours. */
const isIsland = (rule: OpRule) => keepsBytes(rule) || rule.role === 'rescaling';

/** Ops whose output is the input's integers, moved at most. */
const keepsBytes = ({ role }: OpRule) => role === 'layout' || role === 'relabel';

/** Between float neighbours an integer op of little work costs more than it saves. */
function islandProblem(draft: Draft, activations: readonly string[]): string | undefined {
  const float = activations.find((name) => makerUnit(draft, name) === undefined);
  return float === undefined ? undefined : `its input '${float}' is float, and it does little work`;
}

function slowPool(
  draft: Draft,
  node: NodeProto,
  [input = '']: readonly string[],
): string | undefined {
  if (opName(node) !== 'AveragePool') return undefined;
  const shape = statisticsOf(draft, input)?.shape ?? [];
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements <= LARGEST_POOLED) return undefined;
  return 'AveragePool of a large tensor runs slower on bytes than in float';
}

/** The integer unit that makes a tensor, if one does. */
function makerUnit({ index, units, absorbed }: Draft, name: string): IntegerUnit | undefined {
  const maker = index.producer.get(name);
  return maker === undefined ? undefined : (units.get(maker) ?? absorbed.get(maker));
}

/** A Relu or Clip that alone reads this node and that the quantized range makes superfluous. */
function absorbableClamp(draft: Draft, node: NodeProto, rule: OpRule): NodeProto | undefined {
  const { index } = draft;
  const output = node.output[0] ?? '';
  const readers = index.consumers.get(output) ?? [];
  const [reader] = readers;
  if (reader === undefined || readers.length !== 1 || index.outputs.has(output)) return undefined;
  const bounds = clampBounds(reader, index);
  const seen = statisticsOf(draft, reader.output[0] ?? '');
  if (bounds === undefined || seen === undefined || reader.input[0] !== output) return undefined;
  if (isExcluded(draft.scheme, reader)) return undefined;
  const range = rule.fixedOutput ?? seen;
  const params = affineParams(range.min, range.max, activationType(draft.scheme));
  return isSuperfluous(bounds, params) ? reader : undefined;
}

export function activationType(scheme: Scheme): QuantType {
  return scheme.activations ?? 'u8';
}

/** Takes back ops at the float end of an integer chain: they would run on bytes for nobody. */
function pruneTails(draft: Draft, graph: GraphProto): void {
  for (const node of graph.node.toReversed()) {
    const unit = draft.units.get(node);
    if (unit === undefined || !isIsland(unit.rule)) continue;
    if (opName(node).endsWith('Pool') || hasIntegerReader(draft, unit)) continue;
    draft.units.delete(node);
    draft.reasons.set(node, 'all that reads it is float, and it does little work');
    if (unit.absorbed !== undefined) {
      draft.reasons.set(unit.absorbed, 'not behind an integer op whose range makes it superfluous');
    }
  }
}

function hasIntegerReader(draft: Draft, unit: IntegerUnit): boolean {
  return unit.outputs.some((name) =>
    (draft.index.consumers.get(name) ?? []).some((reader) => draft.units.has(reader)),
  );
}

/** Matrix products may hand on float, which spares a rounding before float ops. */
function finishOutputs(draft: Draft): ReadonlyMap<NodeProto, IntegerUnit> {
  const finished = new Map<NodeProto, IntegerUnit>();
  for (const [node, unit] of draft.units) {
    const product = unit.rule.role === 'gemm' || unit.rule.role === 'matmul';
    if (!product || hasIntegerReader(draft, unit)) finished.set(node, unit);
    else finished.set(node, floatOutput(draft, unit));
  }
  return finished;
}

function floatOutput(draft: Draft, unit: IntegerUnit): IntegerUnit {
  const { absorbed, ...rest } = unit;
  if (absorbed !== undefined)
    draft.reasons.set(absorbed, 'behind a matrix product with float output');
  return { ...rest, outputs: unit.node.output, quantizedOutput: false };
}

function rescaled(params: QuantParams, { factor = 1 }: OpRule): QuantParams {
  return { ...params, scale: Math.fround(params.scale * factor) };
}

/** Scale and zero point of every tensor that an integer unit reads or makes. */
function chooseParams(
  graph: GraphProto,
  units: ReadonlyMap<NodeProto, IntegerUnit>,
  draft: Draft,
): ReadonlyMap<string, QuantParams> {
  const params = new Map<string, QuantParams>();
  const type = activationType(draft.scheme);
  const own = (name: string, fixed?: OpRule['fixedOutput']) => {
    const seen = statisticsOf(draft, name);
    return affineParams(fixed?.min ?? seen?.min ?? 0, fixed?.max ?? seen?.max ?? 0, type);
  };
  for (const node of graph.node) {
    const unit = units.get(node);
    if (unit === undefined) continue;
    for (const name of unit.inputs) if (!params.has(name)) params.set(name, own(name));
    if (!unit.quantizedOutput) continue;
    const [first = ''] = unit.inputs;
    for (const name of unit.outputs) {
      const inherited = keepsBytes(unit.rule) ? params.get(first) : undefined;
      params.set(
        name,
        inherited === undefined ? own(name, unit.rule.fixedOutput) : rescaled(inherited, unit.rule),
      );
    }
  }
  return params;
}
