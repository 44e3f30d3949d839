/** Compact text for the long lists in a ranges file. */

/** Counts (whole numbers up to 2^53) as LEB128 varints in base64: mostly one or two bytes each. */
export function packCounts(counts: Float64Array): string {
  const bytes: number[] = [];
  for (const count of counts) {
    let rest = count;
    while (rest >= 128) {
      bytes.push((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    bytes.push(rest);
  }
  return Buffer.from(bytes).toString('base64');
}

/** The counts again, or null when the text is damaged. */
export function unpackCounts(text: string): Float64Array | null {
  const counts: number[] = [];
  let value = 0;
  let place = 1;
  for (const byte of Buffer.from(text, 'base64')) {
    value += (byte % 128) * place;
    place *= 128;
    if (!Number.isSafeInteger(value)) return null;
    if (byte >= 128) continue;
    counts.push(value);
    [value, place] = [0, 1];
  }
  return place === 1 ? Float64Array.from(counts) : null;
}

export function packFloats(values: Float64Array): string {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => bytes.writeDoubleLE(value, i * 8));
  return bytes.toString('base64');
}

/** The numbers again, or null when the text is damaged or holds one that is not finite. */
export function unpackFloats(text: string): Float64Array | null {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % 8 !== 0) return null;
  const values = Float64Array.from({ length: bytes.length / 8 }, (_, i) =>
    bytes.readDoubleLE(i * 8),
  );
  return values.every(Number.isFinite) ? values : null;
}
