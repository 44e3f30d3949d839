import { tensorNumbers } from '../../../model/tflite/tensor.ts';
import { optionsOf } from '../../../model/tflite/types.ts';
import { div, mul, prelu, shapeOnly, sum, unary } from '../../equalize/elementwise.ts';
import { transpose } from '../../equalize/layout.ts';
import type { Layout } from '../../equalize/layout.ts';
import { joined, reduced, reshaped, split } from '../../equalize/moving.ts';
import type { Found } from '../../equalize/trace.ts';
import { PRODUCT_RULES } from './products.ts';
import type { TfliteStep, TfliteTracer } from './trace.ts';

/** What an operator does to the factors of its inputs. */
export type Rule = (step: TfliteStep, tracer: TfliteTracer) => Found;

/** Rules for the first input alone; inputs without a layout are nobody's business. */
const first =
  (rule: (layout: Layout, step: TfliteStep, tracer: TfliteTracer) => Layout | undefined): Rule =>
  (step, tracer) => {
    const layout = tracer.layout(step.input[0]);
    const found = layout === undefined ? undefined : rule(layout, step, tracer);
    return found === undefined ? undefined : [found];
  };

function numbersOf(name: string | undefined, tracer: TfliteTracer): readonly number[] | undefined {
  const tensor = tracer.constant(name)?.tensor;
  return tensor === undefined || tensor.data === null ? undefined : tensorNumbers(tensor);
}

/** Windows over height and width, along which the factor must not change. */
const spatial = first((layout) =>
  layout.dims.slice(0, -1).every((dim) => dim === 1) ? layout : undefined,
);

/** Zeros around, along axes on which the factor does not change. */
const pad = first((layout, step, tracer) => {
  const widths = numbersOf(step.input[1], tracer);
  if (widths?.length !== layout.dims.length * 2) return undefined;
  const moves = layout.dims.some(
    (dim, axis) => dim > 1 && (widths[2 * axis] !== 0 || widths[2 * axis + 1] !== 0),
  );
  return moves ? undefined : layout;
});

const transposed = first((layout, step, tracer) => {
  const order = numbersOf(step.input[1], tracer);
  return order?.length === layout.dims.length ? transpose(layout, order) : undefined;
});

const reduce = first((layout, step, tracer) => {
  const axes = numbersOf(step.input[1], tracer);
  const keeps = optionsOf(step.operator, 'ReducerOptions')?.keepDims === true;
  return axes === undefined ? undefined : reduced(layout, axes, keeps);
});

const join: Rule = (step, tracer) => {
  const options = optionsOf(step.operator, 'ConcatenationOptions');
  return options === undefined ? undefined : joined(step, tracer, options.axis);
};

const splitUp: Rule = (step, tracer) => {
  const [axis] = numbersOf(step.input[0], tracer) ?? [];
  return axis === undefined ? undefined : split(step, tracer, tracer.layout(step.input[1]), axis);
};

const entries = (rule: Rule, ...ops: readonly string[]) =>
  ops.map((op): readonly [string, Rule] => [op, rule]);

export const RULES: ReadonlyMap<string, Rule> = new Map([
  ...PRODUCT_RULES,
  ...entries(unary, 'RELU', 'LEAKY_RELU', 'ABS', 'NEG'),
  ...entries(prelu, 'PRELU'),
  ...entries(sum, 'ADD', 'SUB', 'ADD_N', 'MAXIMUM', 'MINIMUM'),
  ...entries(mul, 'MUL'),
  ...entries(div, 'DIV'),
  ...entries(shapeOnly, 'SHAPE', 'RANK'),
  ...entries(spatial, 'MAX_POOL_2D', 'AVERAGE_POOL_2D'),
  ...entries(spatial, 'RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR'),
  ...entries(pad, 'PAD', 'MIRROR_PAD'),
  ...entries(transposed, 'TRANSPOSE'),
  ...entries(reshaped, 'RESHAPE', 'SQUEEZE', 'EXPAND_DIMS'),
  ...entries(reduce, 'MEAN', 'SUM', 'REDUCE_MAX', 'REDUCE_MIN'),
  ...entries(join, 'CONCATENATION'),
  ...entries(splitUp, 'SPLIT'),
]);
