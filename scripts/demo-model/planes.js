/** What the plain JavaScript layers share. */

/** A trainable array, filled with one value. */
export const parameter = (length, value) => ({
  value: new Float32Array(length).fill(value),
  gradient: new Float32Array(length),
});

/** Calls visit(start, end, channel) for every plane of a batch. */
export function eachPlane({ batch, channels, size }, visit) {
  const plane = size * size;
  for (let n = 0; n < batch; n += 1)
    for (let c = 0; c < channels; c += 1) {
      const start = (n * channels + c) * plane;
      visit(start, start + plane, c);
    }
}
