import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { floatAttribute, makeNode } from '../../../model/onnx/graph.ts';
import { DataType, floatData, floatTensor } from '../../../model/onnx/tensor.ts';
import { endOf } from './say.ts';
import type { Say, Tools } from './say.ts';

/**
 * With one slope it is LeakyRelu. With one per channel, none below zero, it is max(x, 0) +
 * min(slope * x, 0): one of both is always zero, and each has a scale of its own.
 */
export const pRelu: Say = (node, { index, statistics, unique, constant, observe }) => {
  const [x = '', slopeName = ''] = node.input;
  const slope = index.initializers.get(slopeName);
  if (slope?.dataType !== DataType.FLOAT) return undefined;
  const slopes = floatData(slope);
  const [first = 0] = slopes;
  if (slopes.every((value) => value === first)) {
    return [endOf(node, 'LeakyRelu', [x], { alpha: first })];
  }
  const [y = ''] = node.output;
  const seen = statistics.tensors.get(y);
  if (seen === undefined || !slopes.every((value) => value >= 0)) return undefined;
  if (!(seen.min < 0 && seen.max > 0)) return undefined;
  const [above, sloped, below] = [
    unique(`${y}_above`),
    unique(`${y}_sloped`),
    unique(`${y}_below`),
  ];
  const zero = unique(`${y}_zero`);
  constant(floatTensor(zero, 0));
  const { dtype, shape, min, max, seenMin, seenMax } = seen;
  observe(above, { dtype, shape, min: 0, max, seenMin: 0, seenMax });
  observe(below, { dtype, shape, min, max: 0, seenMin, seenMax: 0 });
  return [
    makeNode('LeakyRelu', [x], [above], { attributes: { alpha: 0 } }),
    makeNode('Mul', [x, slopeName], [sloped]),
    makeNode('Clip', [sloped, '', zero], [below]),
    endOf(node, 'Add', [above, below]),
  ];
};

/** max(0, min(1, alpha * x + beta)) */
export const hardSigmoid: Say = (node, tools) => {
  const alpha = floatAttribute(node, 'alpha') ?? 0.2;
  const beta = floatAttribute(node, 'beta') ?? 0.5;
  const [x = ''] = node.input;
  const [y = ''] = node.output;
  return gate(x, y, { alpha, beta }, tools, (input) => endOf(node, 'Mul', input));
};

/** x * HardSigmoid(x), with a sixth and a half. */
export const hardSwish: Say = (node, tools) => {
  const [x = ''] = node.input;
  const name = tools.unique(`${node.output[0] ?? ''}_gate`);
  const scale = (input: readonly string[]) => makeNode('Mul', input, [name]);
  const made = gate(x, name, { alpha: 1 / 6, beta: 0.5 }, tools, scale);
  return made === undefined ? undefined : [...made, endOf(node, 'Mul', [x, name])];
};

/**
 * alpha * clip(x + beta / alpha, 0, 1 / alpha): the sum cuts off where its quantized range ends, and
 * the product with one number is but another scale.
 */
function gate(
  x: string,
  y: string,
  { alpha, beta }: { readonly alpha: number; readonly beta: number },
  { statistics, unique, constant, observe }: Tools,
  scale: (input: readonly string[]) => NodeProto,
): NodeProto[] | undefined {
  const seen = statistics.tensors.get(x);
  if (!(alpha > 0) || seen === undefined || !(alpha * seen.max + beta > 0)) return undefined;
  const factor = Math.fround(alpha);
  const number = (stem: string, value: number) => {
    const name = unique(`${y}_${stem}`);
    constant(floatTensor(name, value));
    return name;
  };
  const shift = number('shift', beta / factor);
  const [moved, cut] = [unique(`${y}_moved`), unique(`${y}_cut`)];
  const top = Math.min(seen.max + beta / factor, 1 / factor);
  const { dtype, shape } = seen;
  observe(cut, { dtype, shape, min: 0, max: top, seenMin: 0, seenMax: top });
  observe(y, { dtype, shape, min: 0, max: top * factor, seenMin: 0, seenMax: top * factor });
  return [
    makeNode('Add', [x, shift], [moved]),
    makeNode('Clip', [moved, number('zero', 0), number('most', 1 / factor)], [cut]),
    scale([cut, number('factor', factor)]),
  ];
}
