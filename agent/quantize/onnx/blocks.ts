import { roundHalfEven } from '../arithmetic.ts';

/** How com.microsoft.MatMulNBits cuts weights into blocks. */
export interface BlockShape {
  readonly bits: 4 | 8;
  /** Values that share a scale: a power of two from 16. */
  readonly blockSize: number;
}

export interface QuantizedBlocks {
  /** [columns, blocks, bytes]; two 4-bit values to a byte, the first in the low half. */
  readonly data: Uint8Array;
  /** [columns, blocks] */
  readonly scales: Float32Array;
  /** Packed like the values, every column from a new byte. */
  readonly zeroPoints: Uint8Array;
  readonly blocks: number;
  /** Bytes of one block. */
  readonly bytes: number;
}

/**
 * Weights as unsigned integers with a scale and a zero point per block of `blockSize` values
 * (onnxruntime, docs/ContribOperators.md, MatMulNBits). 8 bits are symmetric around 128; 4 bits have
 * a zero point of their own, and the range that loses least.
 * @param values [columns, depth]: one column of the product after the other
 */
export function quantizeBlocks(
  values: Float32Array,
  columns: number,
  depth: number,
  { bits, blockSize }: BlockShape,
): QuantizedBlocks {
  const blocks = Math.ceil(depth / blockSize);
  const bytes = (blockSize * bits) / 8;
  const zeroBytes = Math.ceil((blocks * bits) / 8);
  const made: QuantizedBlocks = {
    data: new Uint8Array(columns * blocks * bytes),
    scales: new Float32Array(columns * blocks),
    zeroPoints: new Uint8Array(columns * zeroBytes),
    blocks,
    bytes,
  };
  const quantizer = bits === 8 ? symmetric : leastLoss;
  for (let column = 0; column < columns; column++) {
    const zeros = made.zeroPoints.subarray(column * zeroBytes, (column + 1) * zeroBytes);
    for (let block = 0; block < blocks; block++) {
      const from = column * depth + block * blockSize;
      const part = values.subarray(from, Math.min(from + blockSize, (column + 1) * depth));
      const grid = quantizer(part);
      const at = column * blocks + block;
      made.scales[at] = grid.scale;
      put(zeros, block, bits, grid.zeroPoint);
      const target = made.data.subarray(at * bytes, (at + 1) * bytes);
      for (let k = 0; k < blockSize; k++) {
        // Behind the last row: whatever stands for zero.
        put(target, k, bits, k < part.length ? toGrid(part[k] ?? 0, grid) : grid.zeroPoint);
      }
    }
  }
  return made;
}

interface Grid {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly largest: number;
}

function toGrid(value: number, { scale, zeroPoint, largest }: Grid): number {
  return Math.min(largest, Math.max(0, roundHalfEven(value / scale) + zeroPoint));
}

function put(bytes: Uint8Array, index: number, bits: 4 | 8, value: number): void {
  if (bits === 8) bytes[index] = value;
  else bytes[index >> 1] = (bytes[index >> 1] ?? 0) | (value << ((index & 1) * 4));
}

function symmetric(values: Float32Array): Grid {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return { scale: usable(largest / 127), zeroPoint: 128, largest: 255 };
}

const LARGEST_4_BIT = 15;
/** Shares of the full range that are tried: a few values cut off may cost less than coarse steps. */
const SHARES = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7];

function leastLoss(values: Float32Array): Grid {
  let [low, high] = [0, 0];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  let best: Grid | undefined;
  let leastError = Infinity;
  for (const share of SHARES) {
    const scale = usable(((high - low) * share) / LARGEST_4_BIT);
    const zeroPoint = Math.min(LARGEST_4_BIT, roundHalfEven((-low * share) / scale));
    const grid = { scale, zeroPoint, largest: LARGEST_4_BIT };
    let error = 0;
    for (const value of values) {
      error += (value - (toGrid(value, grid) - zeroPoint) * scale) ** 2;
    }
    if (error < leastError) [best, leastError] = [grid, error];
  }
  return best ?? { scale: 1, zeroPoint: 0, largest: LARGEST_4_BIT };
}

/** Below this a float32 scale is subnormal. */
const SMALLEST_SCALE = 2 ** -126;

function usable(scale: number): number {
  return scale >= SMALLEST_SCALE ? Math.fround(scale) : 1;
}
