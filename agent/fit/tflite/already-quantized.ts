import type { Scheme } from '../../contracts/scheme.ts';
import { QuantizeError } from '../../quantize/errors.ts';
import { recognizeTflite } from '../../quantize/tflite/recognize.ts';
import type { TfliteModel } from '../../model/tflite/types.ts';
import type { MadeVersion } from '../search/version-maker.ts';
import { accountOf } from './operators.ts';

/** A TFLite model that is quantized already: kept as it is, never quantized twice. */
export function keepQuantized(
  model: TfliteModel,
  { method, activations, integerOnly }: Scheme,
): MadeVersion {
  const { kind, words } = recognizeTflite(model);
  const ops = accountOf(model, 'float in the file');
  if (method === 'none') return { model, ops };
  const staysSo = method === 'static' && activations !== 's16' && integerOnly !== true;
  if (staysSo) return { model, ops, found: { kind, changes: [] } };
  const message = `the model is quantized already (${words}): give the float model`;
  throw new QuantizeError('ALREADY_QUANTIZED', message);
}
