import { applyEdit, newEdit } from '../../model/tflite/edit.ts';
import { compact } from '../../model/tflite/compact.ts';
import { indexGraph } from '../../model/tflite/graph.ts';
import { floatData, isConstant } from '../../model/tflite/tensor.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import { optionsOf } from '../../model/tflite/types.ts';
import type {
  OptionsOf,
  TfliteGraph,
  TfliteModel,
  TfliteOperator,
} from '../../model/tflite/types.ts';

/** What training found out about a tensor: no calibration is needed for it. */
export interface TrainedRange {
  /** Both ends are values of the grid; zero is one, too. */
  readonly min: number;
  readonly max: number;
  /** Steps of the grid are (max - min) / (2^bits - 1). */
  readonly bits: number;
}

export interface WithoutFakeQuants {
  readonly model: TfliteModel;
  /** By the unique names of the main graph's tensors. */
  readonly ranges: ReadonlyMap<string, TrainedRange>;
}

/**
 * Takes the FAKE_QUANT operators out of the main graph and keeps what they say. Constants keep the
 * values that were trained, rounded to the grid. One whose input cannot take its place (an input of
 * the model that is also an output, a second range for the same tensor) stays: runtimes know it.
 */
export function foldFakeQuant(model: TfliteModel): WithoutFakeQuants {
  const [main, ...called] = model.subgraphs;
  if (main === undefined) return { model, ranges: new Map() };
  const signed = model.signatures
    .filter(({ subgraph }) => subgraph === 0)
    .flatMap(({ inputs, outputs }) => [...inputs, ...outputs].map(({ tensor }) => tensor));
  const { graph, ranges } = foldGraph(main, new Set([...main.outputs, ...signed]));
  const marked = new Map<string, TrainedRange>();
  // Names are settled before unused tensors go, and then kept.
  const names = uniqueTensorNames(graph);
  for (const [index, range] of ranges) marked.set(names[index] ?? '', range);
  const tensors = graph.tensors.map((tensor, index) =>
    ranges.has(index) ? { ...tensor, name: names[index] ?? tensor.name } : tensor,
  );
  return {
    model: compact({ ...model, subgraphs: [{ ...graph, tensors }, ...called] }),
    ranges: marked,
  };
}

function foldGraph(
  graph: TfliteGraph,
  fixed: ReadonlySet<number>,
): { readonly graph: TfliteGraph; readonly ranges: ReadonlyMap<number, TrainedRange> } {
  const index = indexGraph(graph);
  const edit = newEdit(graph);
  const ranges = new Map<number, TrainedRange>();
  /** Made by what is taken out: a second FAKE_QUANT behind the first rounds once more. */
  const gone = new Set<number>();
  /** A tensor that is no more -> the one that its maker makes instead. */
  const moved = new Map<number, number>();
  for (const operator of graph.operators) {
    const options = optionsOf(operator, 'FakeQuantOptions');
    const [input = -1] = operator.inputs;
    const [output = -1] = operator.outputs;
    const tensor = graph.tensors[input];
    if (options === undefined || tensor === undefined) continue;
    if (ranges.has(input) || gone.has(input) || moved.has(input)) continue;
    const range = trainedRange(options);
    if (range === undefined) continue;
    if (!fixed.has(output)) {
      edit.rename.set(output, input);
      ranges.set(input, range);
      if (isConstant(tensor)) edit.tensors.set(input, { ...tensor, data: rounded(tensor, range) });
    } else if (index.producer.has(input) && !fixed.has(input)) {
      moved.set(input, output);
      edit.rename.set(input, output);
      ranges.set(output, range);
    } else continue;
    gone.add(output);
    edit.replace.set(operator, []);
  }
  const edited = applyEdit(graph, edit);
  const operators = edited.operators.map((one) => renameOutputs(one, moved));
  return { graph: { ...edited, operators }, ranges };
}

function renameOutputs(
  operator: TfliteOperator,
  moved: ReadonlyMap<number, number>,
): TfliteOperator {
  if (!operator.outputs.some((tensor) => moved.has(tensor))) return operator;
  return { ...operator, outputs: operator.outputs.map((tensor) => moved.get(tensor) ?? tensor) };
}

/**
 * The range that the kernel uses (tensorflow/core/kernels/fake_quant_ops_functor.h, Nudge): moved by
 * less than half a step so that zero is on the grid. A narrow range leaves out the lowest integer;
 * here it is added again, below what was trained, so that the grid stays the same.
 */
function trainedRange({
  min,
  max,
  numBits,
  narrowRange,
}: OptionsOf<'FakeQuantOptions'>): TrainedRange | undefined {
  const lowest = narrowRange ? 1 : 0;
  const highest = 2 ** numBits - 1;
  const scale = (max - min) / (highest - lowest);
  if (!(scale > 0) || !Number.isFinite(scale) || numBits < 2 || numBits > 16) return undefined;
  const zeroPoint = Math.min(Math.max(Math.round(lowest - min / scale), lowest), highest);
  return { min: (0 - zeroPoint) * scale, max: (highest - zeroPoint) * scale, bits: numBits };
}

/** The values on the grid, as FAKE_QUANT hands them on. */
function rounded(
  tensor: Parameters<typeof floatData>[0],
  { min, max, bits }: TrainedRange,
): Uint8Array {
  const scale = (max - min) / (2 ** bits - 1);
  const values = Float32Array.from(floatData(tensor), (value) => {
    const inside = Math.min(Math.max(value, min), max);
    return Math.floor((inside - min) / scale + 0.5) * scale + min;
  });
  return new Uint8Array(values.buffer);
}
