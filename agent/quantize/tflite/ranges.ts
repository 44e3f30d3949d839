import { floatData } from '../../model/tflite/tensor.ts';
import type { TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { affineParams } from '../arithmetic.ts';
import type { QuantParams } from '../arithmetic.ts';
import { statisticsOf } from './units.ts';
import type { Given, IntegerUnit } from './units.ts';

type Units = ReadonlyMap<TfliteOperator, IntegerUnit>;

/** Scale and zero point of a constant that has its own. */
export function constantParams({ graph, stored, type }: Given, at: number): QuantParams {
  const known = type === 's8' ? storedParams(stored.get(at)) : undefined;
  if (known !== undefined) return known;
  const tensor = graph.tensors[at];
  const values = tensor === undefined ? new Float32Array(0) : floatData(tensor);
  let min = 0;
  let max = 0;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return affineParams(min, max, type);
}

/** Those of the file, where it holds the constant as int8 with one scale. */
function storedParams(tensor: TfliteTensor | undefined): QuantParams | undefined {
  if (tensor?.type !== 'INT8' || tensor.quantization?.scale.length !== 1) return undefined;
  const { scale, zeroPoint } = tensor.quantization;
  const [only = 0] = scale;
  return only > 0 ? { type: 's8', scale: only, zeroPoint: zeroPoint[0] ?? 0 } : undefined;
}

const BOUNDS: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['RELU', [0, Infinity]],
  ['RELU6', [0, 6]],
  ['RELU_N1_TO_1', [-1, 1]],
]);

/** From what was seen, as far as the operator's activation lets it come about. */
export function rangeParams(given: Given, units: Units, at: number): QuantParams {
  const { min = 0, max = 0 } = statisticsOf(given, at) ?? {};
  const maker = given.index.producer.get(at);
  const unit = maker === undefined ? undefined : units.get(maker);
  const [low, high] = BOUNDS.get(unit === undefined ? '' : activationOf(unit)) ?? [
    -Infinity,
    Infinity,
  ];
  const clip = (value: number) => Math.min(Math.max(value, low), high);
  return affineParams(clip(min), clip(max), given.type);
}

function activationOf({ operator }: IntegerUnit): string {
  const { op, options } = operator;
  if (BOUNDS.has(op)) return op;
  return options !== null && 'fusedActivationFunction' in options
    ? options.fusedActivationFunction
    : 'NONE';
}
