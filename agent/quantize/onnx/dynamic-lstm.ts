import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { intAttribute } from '../../model/onnx/graph.ts';
import { allFinite } from './obstacles.ts';
import { NOT_FINITE, floatConstant, replaceBy } from './products.ts';
import type { Context } from './products.ts';

/** What the integer LSTM knows; it refuses others, `layout` even when that is 0. */
const LSTM_ATTRIBUTES: ReadonlySet<string> = new Set([
  'activation_alpha',
  'activation_beta',
  'activations',
  'clip',
  'direction',
  'hidden_size',
  'input_forget',
]);

/**
 * com.microsoft.DynamicQuantizeLSTM takes W and R as int8 [directions, inputs, 4 * hidden], that is
 * transposed, with a scale per direction and gate row.
 */
export function convertLstm(node: NodeProto, context: Context): string | undefined {
  const weight = floatConstant(node.input[1], context);
  const recurrent = floatConstant(node.input[2], context);
  if (weight === undefined || recurrent === undefined) return 'its weights are not constant';
  if (!allFinite(weight.tensor) || !allFinite(recurrent.tensor)) return NOT_FINITE;
  if (intAttribute(node, 'layout') === 1) return 'LSTM with layout 1 has no integer kernel';
  const [w, ...wScale] = weight.home.gates(weight.tensor);
  const [r, ...rScale] = recurrent.home.gates(recurrent.tensor);
  const rest = [3, 4, 5, 6, 7].map((position) => node.input[position] ?? '');
  const input = [node.input[0] ?? '', w, r, ...rest, ...wScale, ...rScale];
  const attribute = node.attribute.filter(({ name = '' }) => LSTM_ATTRIBUTES.has(name));
  replaceBy(node, 'DynamicQuantizeLSTM', input, node.output, context, attribute);
  return undefined;
}
