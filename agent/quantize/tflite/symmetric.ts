import { floatData } from '../../model/tflite/tensor.ts';
import { makeQuantization } from '../../model/tflite/types.ts';
import type { TfliteTensor } from '../../model/tflite/types.ts';
import { channelMaxima, channelView } from '../arithmetic.ts';

/**
 * TFLite's 8-bit weights: int8 in [-127, 127], zero point 0, one scale per tensor or per channel
 * (tensorflow.org, "8-bit quantization specification"). Rounded as its own tools do: halves away
 * from zero, on the product with the reciprocal of the scale in float32.
 */

const LIMIT = 127;
/** Below this a float32 scale is subnormal and its reciprocal infinite. */
const SMALLEST_SCALE = 2 ** -126;

/** The constant as int8, with one scale for each index along `axis`, or one for all when null. */
export function toInt8(tensor: TfliteTensor, axis: number | null): TfliteTensor {
  const values = floatData(tensor);
  const view =
    axis === null
      ? { outer: 1, channels: 1, inner: values.length }
      : channelView(tensor.shape, axis);
  const maxima = channelMaxima(values, view);
  const scales = scalesOf(maxima);
  const data = new Int8Array(values.length);
  for (let o = 0, at = 0; o < view.outer; o++) {
    for (let c = 0; c < view.channels; c++) {
      const inverse = Math.fround(1 / (scales[c] ?? 1));
      for (const end = at + view.inner; at < end; at++) {
        const scaled = Math.fround((values[at] ?? 0) * inverse);
        // Beyond the limit by rounding only.
        const size = Math.min(Math.floor(Math.abs(scaled) + 0.5), LIMIT);
        data[at] = scaled < 0 ? -size : size;
      }
    }
  }
  return {
    ...tensor,
    type: 'INT8',
    data: new Uint8Array(data.buffer),
    quantization: makeQuantization([...scales], Array(scales.length).fill(0), axis ?? 0),
  };
}

/** The next float32 but one, at most: no weight can tell. */
const A_LITTLE_MORE = 1 + 2 ** -23;

/**
 * The same per channel, with scales that are not all equal. TFLite takes weights of a hybrid convolution
 * for per tensor where they are (conv.cc, seen in 2.9), multiplies by a scale that is not set, and gives
 * zeros.
 */
export function toUnevenInt8(tensor: TfliteTensor, axis: number): TfliteTensor {
  const made = toInt8(tensor, axis);
  const { scale = [] } = made.quantization ?? {};
  const [first = 1, ...rest] = scale;
  if (rest.length === 0 || rest.some((one) => one !== first)) return made;
  const uneven = [...rest, Math.fround(first * A_LITTLE_MORE)];
  return { ...made, quantization: makeQuantization(uneven, Array(uneven.length).fill(0), axis) };
}

/**
 * Any scale does for a channel of zeros. That of the largest channel keeps others who derive from it
 * (a bias is stored in steps of input scale times weight scale) near what they are used to.
 */
function scalesOf(maxima: Float64Array): Float32Array {
  const largest = maxima.reduce((a, b) => Math.max(a, b), 0);
  const common = Math.fround(largest / LIMIT);
  const spare = common >= SMALLEST_SCALE ? common : 1;
  return Float32Array.from(maxima, (size) => {
    const scale = Math.fround(size / LIMIT);
    return scale >= SMALLEST_SCALE ? scale : spare;
  });
}

export function hasFiniteValues(tensor: TfliteTensor): boolean {
  return floatData(tensor).every(Number.isFinite);
}
