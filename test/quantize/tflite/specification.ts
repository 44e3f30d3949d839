import { expect } from '@jest/globals';
import { inputTensor } from '../../../agent/model/tflite/graph.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import type {
  TfliteModel,
  TfliteOperator,
  TfliteTensor,
} from '../../../agent/model/tflite/types.ts';
import { operatorVersion } from '../../../agent/quantize/tflite/op-versions.ts';
import { throughFile } from '../../support/tflite-models.ts';

/*
 * What TensorFlow Lite's 8-bit specification demands of a file, read anew from it: written without
 * the tables under test.
 */

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  INT8: [-128, 127],
  UINT8: [0, 255],
  INT16: [0, 0],
};
const SAME_SCALE = new Set(['MAX_POOL_2D', 'AVERAGE_POOL_2D', 'RESHAPE', 'PAD', 'CONCATENATION']);
const FIXED: Readonly<Record<string, readonly [scale: number, zeroPoint: number]>> = {
  LOGISTIC: [1 / 256, -128],
  SOFTMAX: [1 / 256, -128],
  TANH: [1 / 128, 0],
};
const WEIGHTED: Readonly<Record<string, number>> = {
  CONV_2D: 0,
  DEPTHWISE_CONV_2D: 3,
  FULLY_CONNECTED: 0,
};

/** Fails where the model does not follow the specification. */
export function expectSpecified(model: TfliteModel): void {
  const [graph] = throughFile(model).subgraphs as [TfliteModel['subgraphs'][number]];
  graph.tensors.filter((one) => one.data === null).forEach(expectActivation);
  for (const operator of graph.operators) {
    const data = operator.inputs.flatMap((_, at) => inputTensor(graph, operator, at) ?? []);
    const [output] = operator.outputs.map((at) => graph.tensors[at]!) as [TfliteTensor];
    expect(operator.version).toBe(operatorVersion(operator, (at) => graph.tensors[at]));
    expectTypes(operator, data, output);
    if (output.type !== 'INT8') continue;
    if (operator.op in WEIGHTED) expectWeights(operator, data as Three, output);
    if (SAME_SCALE.has(operator.op)) expectSameScale(operator, data, output);
    const fixed = FIXED[operator.op];
    if (fixed !== undefined) expect(pairOf(output)).toEqual(fixed);
  }
}

type Three = [TfliteTensor, TfliteTensor, TfliteTensor];

function pairOf({ quantization }: TfliteTensor): readonly [number, number] {
  return [quantization?.scale[0] ?? NaN, quantization?.zeroPoint[0] ?? NaN];
}

function expectActivation({ type, quantization }: TfliteTensor): void {
  const range = RANGES[type];
  if (range === undefined) return;
  expect(quantization?.scale).toHaveLength(1);
  expect(quantization?.zeroPoint).toHaveLength(1);
  const [scale, zeroPoint] = [quantization!.scale[0]!, quantization!.zeroPoint[0]!];
  expect(scale).toBeGreaterThan(0);
  expect(Math.fround(scale)).toBe(scale);
  expect(zeroPoint).toBeGreaterThanOrEqual(range[0]);
  expect(zeroPoint).toBeLessThanOrEqual(range[1]);
}

/** All floats or all integers, apart from what turns one into the other. */
function expectTypes(
  { op }: TfliteOperator,
  inputs: readonly TfliteTensor[],
  output: TfliteTensor,
): void {
  const kinds = inputs
    .filter(({ type }) => type === 'FLOAT32' || type === 'INT8')
    .map(({ type }) => type);
  if (op === 'DEQUANTIZE') expect([kinds, output.type]).toEqual([['INT8'], 'FLOAT32']);
  else if (op === 'QUANTIZE') expect(['INT8', 'UINT8']).toContain(output.type);
  else expect(new Set([...kinds, output.type]).size).toBe(1);
}

function expectWeights({ op }: TfliteOperator, [x, w, b]: Three, y: TfliteTensor): void {
  const axis = WEIGHTED[op]!;
  const { scale, zeroPoint } = w.quantization!;
  expect(w.type).toBe('INT8');
  expect(zeroPoint.every((zero) => zero === 0)).toBe(true);
  if (scale.length > 1) {
    expect(w.quantization!.axis).toBe(axis);
    expect(scale).toHaveLength(w.shape[axis]!);
  }
  const values = tensorNumbers(w);
  expect(Math.min(...values)).toBeGreaterThanOrEqual(-127);
  const inputScale = x.quantization!.scale[0]!;
  expect(b.type).toBe('INT32');
  expect(b.quantization!.zeroPoint.every((zero) => zero === 0)).toBe(true);
  expect(b.quantization!.scale).toEqual(scale.map((one) => Math.fround(inputScale * one)));
  // XNNPACK refuses other quotients.
  const outputScale = y.quantization!.scale[0]!;
  for (const one of scale) {
    expect((inputScale * one) / outputScale).toBeGreaterThanOrEqual(2 ** -32);
    expect((inputScale * one) / outputScale).toBeLessThan(256);
  }
}

function expectSameScale(
  { op }: TfliteOperator,
  inputs: readonly TfliteTensor[],
  output: TfliteTensor,
): void {
  const data = op === 'CONCATENATION' ? inputs : inputs.slice(0, 1);
  for (const one of data) expect(pairOf(one)).toEqual(pairOf(output));
}
