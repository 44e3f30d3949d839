import type { LayerInput, LayerWindow } from '../model/statistics.ts';

/**
 * The rows of im2col, as far as they are asked for: what meets the weights of a layer at one position
 * of its output. A row holds all groups one behind the other, each channels first, then taps; or taps
 * first, where channels come last.
 */
export interface RowReader {
  /** How many rows the tensor has. */
  readonly rows: number;
  /** Writes row `row` into `into` at `at`, one value every `step`. */
  read(row: number, into: Float64Array, at: number, step: number): void;
}

/** Undefined where the tensor does not fit the layer. */
export function rowReader(
  { window, size, groups }: LayerInput,
  values: Float32Array,
  shape: readonly number[],
): RowReader | undefined {
  if (window === undefined) {
    if (shape.at(-1) !== size) return undefined;
    const rows = values.length / size;
    return {
      rows,
      read: (row, into, at, step) => {
        for (let k = 0, from = row * size; k < size; k++)
          into[at + k * step] = values[from + k] ?? 0;
      },
    };
  }
  const taps = product(window.kernel);
  const image = imageOf(shape, window);
  if (image.space.length !== window.kernel.length || image.channels * taps !== size * groups) {
    return undefined;
  }
  return windowReader(window, values, image, groups);
}

interface Image {
  readonly batch: number;
  readonly channels: number;
  readonly space: readonly number[];
}

function imageOf([batch = 0, ...rest]: readonly number[], { channelsLast }: LayerWindow): Image {
  return channelsLast === true
    ? { batch, channels: rest.at(-1) ?? 0, space: rest.slice(0, -1) }
    : { batch, channels: rest[0] ?? 0, space: rest.slice(1) };
}

const product = (values: readonly number[]) => values.reduce((a, b) => a * b, 1);

function windowReader(
  window: LayerWindow,
  values: Float32Array,
  { batch, channels, space }: Image,
  groups: number,
): RowReader | undefined {
  const { kernel, strides, dilations, channelsLast } = window;
  const starts = space.map((size, axis) => padsAt(window, axis, size));
  const counts = space.map((size, axis) => {
    const [before, after] = starts[axis] ?? [0, 0];
    const reach = (dilations[axis] ?? 1) * ((kernel[axis] ?? 1) - 1) + 1;
    return Math.floor((size + before + after - reach) / (strides[axis] ?? 1)) + 1;
  });
  if (counts.some((count) => count < 1)) return undefined;
  const positions = product(counts);
  const plane = product(space);
  const taps = product(kernel);
  const offsets = new Int32Array(taps);
  const read: RowReader['read'] = (row, into, at, step) => {
    const image = Math.floor(row / positions);
    const origin = unravel(row % positions, counts).map(
      (value, axis) => value * (strides[axis] ?? 1) - (starts[axis]?.[0] ?? 0),
    );
    for (let tap = 0; tap < taps; tap++) {
      offsets[tap] = offsetOf(unravel(tap, kernel), origin, dilations, space);
    }
    if (channelsLast === true) {
      readLast(values, { first: image * plane, channels, groups, offsets }, into, at, step);
      return;
    }
    for (let c = 0, to = at; c < channels; c++) {
      const from = (image * channels + c) * plane;
      for (let tap = 0; tap < taps; tap++, to += step) {
        const offset = offsets[tap] ?? -1;
        into[to] = offset < 0 ? 0 : (values[from + offset] ?? 0);
      }
    }
  };
  return { rows: batch * positions, read };
}

interface Pixels {
  /** The first pixel of the image. */
  readonly first: number;
  readonly channels: number;
  readonly groups: number;
  /** Where each tap reads in the image, in pixels; -1 in the padding. */
  readonly offsets: Int32Array;
}

function readLast(
  values: Float32Array,
  { first, channels, groups, offsets }: Pixels,
  into: Float64Array,
  at: number,
  step: number,
): void {
  const inGroup = channels / groups;
  let to = at;
  for (let group = 0; group < groups; group++) {
    for (const offset of offsets) {
      const from = (first + offset) * channels + group * inGroup;
      for (let c = 0; c < inGroup; c++, to += step) {
        into[to] = offset < 0 ? 0 : (values[from + c] ?? 0);
      }
    }
  }
}

function padsAt({ same, ...window }: LayerWindow, axis: number, size: number): [number, number] {
  if (same === undefined) return [window.pads[axis] ?? 0, window.padsAtEnd[axis] ?? 0];
  const stride = window.strides[axis] ?? 1;
  const reach = (window.dilations[axis] ?? 1) * ((window.kernel[axis] ?? 1) - 1) + 1;
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach - size);
  const small = Math.floor(total / 2);
  return same === 'upper' ? [small, total - small] : [total - small, small];
}

function unravel(index: number, sizes: readonly number[]): number[] {
  const result = sizes.map(() => 0);
  for (let axis = sizes.length - 1, rest = index; axis >= 0; axis--) {
    const size = sizes[axis] ?? 1;
    result[axis] = rest % size;
    rest = Math.floor(rest / size);
  }
  return result;
}

/** Where in its plane a tap reads; -1 in the padding. */
function offsetOf(
  tap: readonly number[],
  origin: readonly number[],
  dilations: readonly number[],
  space: readonly number[],
): number {
  let offset = 0;
  for (const [axis, size] of space.entries()) {
    const place = (origin[axis] ?? 0) + (tap[axis] ?? 0) * (dilations[axis] ?? 1);
    if (place < 0 || place >= size) return -1;
    offset = offset * size + place;
  }
  return offset;
}
