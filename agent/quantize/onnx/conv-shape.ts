import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { intAttribute, intsAttribute, stringAttribute } from '../../model/onnx/graph.ts';

/** What a convolution does along one spatial axis. */
export interface ConvAxis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly begin: number;
  readonly end: number;
}

/** A convolution at one input size. */
export interface ConvShape {
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly axes: readonly ConvAxis[];
}

/** Whether every channel is convolved by itself, one to one. */
export function isDepthwise({ groups, inputs, outputs }: ConvShape): boolean {
  return groups > 1 && groups === inputs && groups === outputs;
}

/**
 * Reads a Conv at a given input shape [N, C, ...spatial] with weights [M, C / groups, ...kernel];
 * undefined where these do not belong together.
 */
export function convShape(
  node: NodeProto,
  input: readonly number[],
  weights: readonly number[],
): ConvShape | undefined {
  const [, inputs, ...sizes] = input;
  const [outputs, , ...kernels] = weights;
  if (inputs === undefined || outputs === undefined || sizes.length !== kernels.length) {
    return undefined;
  }
  const count = sizes.length;
  const strides = intsAttribute(node, 'strides') ?? [];
  const dilations = intsAttribute(node, 'dilations') ?? [];
  const pads = intsAttribute(node, 'pads') ?? [];
  const auto = stringAttribute(node, 'auto_pad') ?? 'NOTSET';
  const axes = sizes.map((size, i) => {
    const plain = {
      input: size,
      kernel: kernels[i] ?? 1,
      stride: strides[i] ?? 1,
      dilation: dilations[i] ?? 1,
    };
    const given = auto === 'NOTSET' ? [pads[i] ?? 0, pads[count + i] ?? 0] : autoPads(plain, auto);
    const [begin = 0, end = 0] = given;
    const reach = (plain.kernel - 1) * plain.dilation + 1;
    const output = Math.floor((size + begin + end - reach) / plain.stride) + 1;
    return { ...plain, begin, end, output };
  });
  return { groups: intAttribute(node, 'group') ?? 1, inputs, outputs, axes };
}

/** VALID pads nothing; SAME pads until every stride has an output, the odd one where its name says. */
function autoPads(
  { input, kernel, stride, dilation }: Omit<ConvAxis, 'output' | 'begin' | 'end'>,
  auto: string,
): [number, number] {
  if (auto === 'VALID') return [0, 0];
  const reach = (kernel - 1) * dilation + 1;
  const all = Math.max((Math.ceil(input / stride) - 1) * stride + reach - input, 0);
  const less = Math.floor(all / 2);
  return auto === 'SAME_LOWER' ? [all - less, less] : [less, all - less];
}
