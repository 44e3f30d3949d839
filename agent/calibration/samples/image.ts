import type { ImageSpec } from '../../contracts/manifest.ts';
import { messageOf } from '../../util/errors.ts';
import { SampleError } from './error.ts';
import { type Pixels, resizeBilinear, resizeCrop, toColor, toGray } from './pixels.ts';

/** Larger pictures are refused: a few bytes of PNG can promise gigabytes. */
const MAX_PIXELS = 100_000_000;
/** Above this (a 16 megapixel photo) the decoder shrinks first, so that memory stays bounded. */
const MAX_EXACT_PIXELS = 16_000_000;

/**
 * Decodes an image file to 8-bit pixels the way Pillow's `convert('RGB')` does: no EXIF rotation,
 * no colour profile, alpha dropped. Throws SampleError naming the file.
 */
export async function decodeImage(path: string, title: string, spec: ImageSpec): Promise<Pixels> {
  const { default: sharp } = await import('sharp');
  // One decode uses one thread: the caller overlaps decodes, and the model needs the other cores.
  sharp.concurrency(1);
  sharp.cache(false);
  try {
    const image = sharp(path, {
      ignoreIcc: true,
      limitInputPixels: MAX_PIXELS,
      failOn: 'error',
    });
    const { width, height } = await image.metadata();
    if (width * height > MAX_EXACT_PIXELS) {
      const fit = { fit: 'outside', withoutEnlargement: true } as const;
      image.resize(spec.width * 2, spec.height * 2, fit);
    }
    const { data, info } = await image
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, channels: info.channels, data };
  } catch (error) {
    const why = messageOf(error).split('\n')[0] ?? '';
    throw new SampleError('unsupported', `${title}: cannot be read as an image: ${why}`, error);
  }
}

/** Resizes where the size differs, and converts to the colour channels of the spec. */
export function fitPixels(pixels: Pixels, spec: ImageSpec): Pixels {
  const same = pixels.width === spec.width && pixels.height === spec.height;
  const color = spec.color === 'gray' ? toGray(pixels) : toColor(pixels);
  if (same) return color;
  return spec.resize === 'crop'
    ? resizeCrop(color, spec.width, spec.height)
    : resizeBilinear(color, spec.width, spec.height);
}

/**
 * `(pixel - mean) / std` in float32 arithmetic, in the layout of the spec, without a batch axis.
 * `pixels` has the size and the channels of the spec (see fitPixels).
 */
export function normalize(pixels: Pixels, spec: ImageSpec): Float32Array {
  const { channels, data } = pixels;
  const area = pixels.width * pixels.height;
  const out = new Float32Array(area * channels);
  for (let c = 0; c < channels; c += 1) {
    const table = lookupTable(spec.mean[c] ?? spec.mean[0] ?? 0, spec.std[c] ?? spec.std[0] ?? 1);
    const source = spec.color === 'bgr' ? channels - 1 - c : c;
    const [start, step] = spec.layout === 'nchw' ? [c * area, 1] : [c, channels];
    for (let i = 0, from = source, to = start; i < area; i += 1, from += channels, to += step) {
      out[to] = table[data[from] ?? 0] ?? 0;
    }
  }
  return out;
}

/** The 256 possible values, rounded after each step as float32 arithmetic does. */
function lookupTable(mean: number, std: number): Float32Array {
  const m = Math.fround(mean);
  const s = Math.fround(std);
  return Float32Array.from({ length: 256 }, (_, pixel) => Math.fround(pixel - m) / s);
}

/** The shape that `normalize` fills, with a batch of one. */
export function imageShape(spec: ImageSpec): readonly number[] {
  const channels = spec.color === 'gray' ? 1 : 3;
  return spec.layout === 'nchw'
    ? [1, channels, spec.height, spec.width]
    : [1, spec.height, spec.width, channels];
}
