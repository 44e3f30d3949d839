/** Pixels as uint8, rows of `channels` interleaved values. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** Weights are fixed-point numbers with this many fraction bits, as in Pillow's Resample.c. */
const PRECISION_BITS = 22;

interface Weights {
  /** Taps per output position. */
  readonly taps: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weight: Int32Array;
}

/**
 * Stretches an image with the antialiased bilinear filter of Pillow (`Image.resize(..., BILINEAR)`),
 * bit for bit: what models are calibrated with should be what they were trained with, and libvips
 * filters differ by several levels.
 */
export function resizeBilinear(image: Pixels, width: number, height: number): Pixels {
  const wide = image.width === width ? image : resizeRows(image, width);
  return wide.height === height ? wide : resizeColumns(wide, height);
}

/** Triangle filter, widened by the scale when shrinking (Pillow: precompute_coeffs). */
function weightsFor(from: number, to: number): Weights {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weight = new Int32Array(to * taps);
  for (let at = 0; at < to; at += 1) {
    const center = (at + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const raw = Array.from({ length: end - start }, (_, k) =>
      Math.max(0, 1 - Math.abs((start + k - center + 0.5) / support)),
    );
    const total = raw.reduce((sum, one) => sum + one, 0);
    first[at] = start;
    count[at] = raw.length;
    raw.forEach((one, k) => {
      weight[at * taps + k] = Math.trunc(0.5 + (one / total) * 2 ** PRECISION_BITS);
    });
  }
  return { taps, first, count, weight };
}

function resizeRows(image: Pixels, width: number): Pixels {
  const { channels, height } = image;
  const weights = weightsFor(image.width, width);
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    const row = y * image.width * channels;
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < channels; c += 1) {
        const value = filter(image.data, row + c, channels, weights, x);
        data[(y * width + x) * channels + c] = value;
      }
    }
  }
  return { width, height, channels, data };
}

function resizeColumns(image: Pixels, height: number): Pixels {
  const { channels, width } = image;
  const stride = width * channels;
  const weights = weightsFor(image.height, height);
  const data = new Uint8Array(stride * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < stride; x += 1) {
      data[y * stride + x] = filter(image.data, x, stride, weights, y);
    }
  }
  return { width, height, channels, data };
}

/** One output value: the weighted sum of the taps of position `at`, `step` bytes apart. */
function filter(data: Uint8Array, base: number, step: number, weights: Weights, at: number) {
  const taps = weights.count[at] ?? 0;
  const start = base + (weights.first[at] ?? 0) * step;
  let sum = 1 << (PRECISION_BITS - 1);
  for (let k = 0; k < taps; k += 1) {
    sum += (data[start + k * step] ?? 0) * (weights.weight[at * weights.taps + k] ?? 0);
  }
  return Math.min(255, sum >> PRECISION_BITS);
}

/** Scales so that the image just covers width x height, then cuts out the centre. */
export function resizeCrop(image: Pixels, width: number, height: number): Pixels {
  const scale = Math.max(width / image.width, height / image.height);
  const covering = resizeBilinear(
    image,
    Math.max(width, Math.round(image.width * scale)),
    Math.max(height, Math.round(image.height * scale)),
  );
  const left = Math.floor((covering.width - width) / 2);
  const top = Math.floor((covering.height - height) / 2);
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    const start = ((top + y) * covering.width + left) * channels;
    data.set(covering.data.subarray(start, start + width * channels), y * width * channels);
  }
  return { width, height, channels, data };
}

/** Luma of ITU-R 601-2 in Pillow's fixed point (`convert('L')`). */
export function toGray(image: Pixels): Pixels {
  if (image.channels === 1) return image;
  const data = new Uint8Array(image.width * image.height);
  for (let i = 0, at = 0; i < data.length; i += 1, at += image.channels) {
    const [r = 0, g = 0, b = 0] = [image.data[at], image.data[at + 1], image.data[at + 2]];
    data[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
  }
  return { ...image, channels: 1, data };
}

/** Red, green, blue of images with 1 (repeated) to 4 (alpha dropped) channels. */
export function toColor(image: Pixels): Pixels {
  if (image.channels === 3) return image;
  const data = new Uint8Array(image.width * image.height * 3);
  const last = image.channels >= 3 ? 2 : 0;
  for (let i = 0, at = 0; i < data.length; i += 3, at += image.channels) {
    data[i] = image.data[at] ?? 0;
    data[i + 1] = image.data[at + Math.min(1, last)] ?? 0;
    data[i + 2] = image.data[at + last] ?? 0;
  }
  return { ...image, channels: 3, data };
}
