import { optionsOf } from './types.ts';
import type { OptionsOf, TfliteOperator } from './types.ts';

/** What a convolution is told, dense or a filter per channel; undefined for all other operators. */
export function convolutionOf(
  operator: TfliteOperator,
): OptionsOf<'Conv2DOptions'> | OptionsOf<'DepthwiseConv2DOptions'> | undefined {
  if (operator.op === 'CONV_2D') return optionsOf(operator, 'Conv2DOptions');
  if (operator.op !== 'DEPTHWISE_CONV_2D') return undefined;
  return optionsOf(operator, 'DepthwiseConv2DOptions');
}
