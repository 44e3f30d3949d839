import type { Found } from './look.ts';
import type { TfliteKind } from './recognize.ts';

export const WORDS: Readonly<Record<TfliteKind, string>> = {
  float: 'not quantized',
  'fake-quant': 'trained for quantization: FAKE_QUANT operators hold the ranges',
  int8: 'int8 weights and activations',
  uint8: 'uint8 weights and activations, the form of before 2019',
  int16x8: 'int16 activations and int8 weights',
  'dynamic-range': '8-bit weights, activations quantized while it runs',
  'weight-only': '8-bit weights, made floats when the model is loaded',
  'float16-weights': 'float16 weights, made float32 when the model is loaded',
  'partly-quantized': 'some layers with integers, others in float',
  'edgetpu-compiled': 'compiled for the Edge TPU',
  'ethos-u-compiled': 'compiled for Ethos-U',
};

export function exceptions(kind: TfliteKind, { counts, floatLayers }: Found): string[] {
  if (kind === 'partly-quantized' || kind === 'dynamic-range') {
    return floatLayers.length === 0 ? [] : [`in float: ${listed(floatLayers)}`];
  }
  const isInteger = ['int8', 'uint8', 'int16x8'].includes(kind);
  return isInteger && counts.float > 0
    ? [`${operators(counts.float)} without weights in float`]
    : [];
}

export function customWords(custom: readonly string[]): string[] {
  return custom.length === 0 ? [] : [`custom operators: ${custom.join(', ')}`];
}

export function compiledWords(device: string, { compiledParts, onCpu }: Found): string {
  const left = [...onCpu.values()].reduce((sum, count) => sum + count, 0);
  const parts = compiledParts === 1 ? 'one part' : `${compiledParts} parts`;
  const rest =
    left === 0
      ? 'nothing is left for the CPU'
      : `${operators(left)} left for the CPU: ${listed([...onCpu].flatMap(([name, count]) => Array<string>(count).fill(name)))}`;
  return `compiled for the ${device} in ${parts}; ${rest}`;
}

const operators = (count: number) => (count === 1 ? '1 operator' : `${count} operators`);

/** `3 CONV_2D, 1 SOFTMAX` */
function listed(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}
