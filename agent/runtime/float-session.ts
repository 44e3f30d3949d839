import type {
  Feeds,
  QuantizationParameters,
  Session,
  Tensor,
  TensorDescription,
  TensorType,
} from './types.ts';

const LIMITS = {
  int8: { low: -128, high: 127, make: (length: number) => new Int8Array(length) },
  uint8: { low: 0, high: 255, make: (length: number) => new Uint8Array(length) },
  int16: { low: -32768, high: 32767, make: (length: number) => new Int16Array(length) },
} as const;

type Stored = keyof typeof LIMITS;
type Quantized = TensorDescription & {
  readonly dtype: Stored;
  readonly quantization: QuantizationParameters;
};

/**
 * A session whose int8, uint8 and int16 inputs and outputs that stand for real numbers are float32:
 * feeds are quantized and outputs dequantized, so that a model with integers outside is fed and
 * compared like the float model it came from. Everything else passes through.
 */
export function floatSession(session: Session): Session {
  const { inputs, outputs, ...rest } = session.describe();
  const quantizedInputs = inputs.filter(isQuantized);
  const quantizedOutputs = outputs.filter(isQuantized);
  const store = (feeds: Feeds): Feeds =>
    replace(feeds, quantizedInputs, (tensor, { dtype, quantization }) =>
      tensor.dtype === 'float32' ? quantizeTensor(tensor, dtype, quantization) : tensor,
    );
  return {
    describe: () => ({ ...rest, inputs: inputs.map(asFloat), outputs: outputs.map(asFloat) }),
    async run(feeds) {
      return replace(await session.run(store(feeds)), quantizedOutputs, (tensor, output) =>
        dequantizeTensor(tensor, output.quantization),
      );
    },
    prepare(feeds) {
      const stored = store(feeds);
      return session.prepare?.(stored) ?? (() => session.run(stored));
    },
    close: () => session.close(),
  };
}

function isQuantized(tensor: TensorDescription): tensor is Quantized {
  return tensor.quantization !== undefined && isStored(tensor.dtype);
}

function isStored(dtype: TensorType): dtype is Stored {
  return Object.hasOwn(LIMITS, dtype);
}

function asFloat(tensor: TensorDescription): TensorDescription {
  return isQuantized(tensor)
    ? { name: tensor.name, dtype: 'float32', shape: tensor.shape }
    : tensor;
}

function replace(
  tensors: Readonly<Record<string, Tensor>>,
  which: readonly Quantized[],
  change: (tensor: Tensor, description: Quantized) => Tensor,
): Readonly<Record<string, Tensor>> {
  const changed = which.flatMap((description) => {
    const tensor = tensors[description.name];
    return tensor === undefined ? [] : [[description.name, change(tensor, description)] as const];
  });
  return { ...tensors, ...Object.fromEntries(changed) };
}

/**
 * stored = round(real / scale) + zeroPoint, held to the type's range. As TFLite's QUANTIZE does it:
 * the division in float32, halves away from zero (reference_ops::AffineQuantize). NaN becomes the
 * zero point.
 */
export function quantizeTensor(
  { shape, data }: Tensor,
  dtype: Stored,
  { scale, zeroPoint }: QuantizationParameters,
): Tensor {
  const { low, high, make } = LIMITS[dtype];
  const stored = make(data.length);
  for (let index = 0; index < stored.length; index += 1) {
    const steps = Math.fround(Number(data[index]) / scale);
    const rounded = Math.sign(steps) * Math.floor(Math.abs(steps) + 0.5);
    const value = (Number.isNaN(rounded) ? 0 : rounded) + zeroPoint;
    stored[index] = Math.min(high, Math.max(low, value));
  }
  return { dtype, shape, data: stored };
}

/** real = (stored - zeroPoint) * scale, in float32. */
export function dequantizeTensor(
  { shape, data }: Tensor,
  { scale, zeroPoint }: QuantizationParameters,
): Tensor {
  const real = new Float32Array(data.length);
  for (let index = 0; index < real.length; index += 1) {
    real[index] = (Number(data[index]) - zeroPoint) * scale;
  }
  return { dtype: 'float32', shape, data: real };
}
