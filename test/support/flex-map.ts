/** Types of flexbuffers (flatbuffers.dev, "FlexBuffers"), with values of four bytes. */
const FOUR_BYTES = 2;
const INT = (1 << 2) | FOUR_BYTES;
const FLOAT = (3 << 2) | FOUR_BYTES;
const MAP = (9 << 2) | FOUR_BYTES;

/** A flexbuffer that is one map: whole numbers as such, those in `reals` as floats. */
export function flexMap(
  whole: Readonly<Record<string, number>>,
  reals: Readonly<Record<string, number>>,
): Uint8Array {
  const keys = [...Object.keys(whole), ...Object.keys(reals)].toSorted();
  const bytes: number[] = [];
  const places = keys.map((key) => {
    const at = bytes.length;
    bytes.push(...Buffer.from(key), 0);
    return at;
  });
  while (bytes.length % 4 !== 0) bytes.push(0);
  const word = (value: number) => bytes.push(...new Uint8Array(Int32Array.of(value).buffer));
  word(keys.length);
  const keysAt = bytes.length;
  // Offsets count backwards from where they stand.
  for (const place of places) word(bytes.length - place);
  word(bytes.length - keysAt);
  word(4);
  word(keys.length);
  const valuesAt = bytes.length;
  for (const key of keys) {
    if (key in whole) word(whole[key]!);
    else bytes.push(...new Uint8Array(Float32Array.of(reals[key]!).buffer));
  }
  bytes.push(...keys.map((key) => (key in whole ? INT : FLOAT)));
  bytes.push(bytes.length - valuesAt, MAP, 1);
  return Uint8Array.from(bytes);
}
