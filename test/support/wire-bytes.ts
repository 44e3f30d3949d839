/** Protobuf by hand, for tests that need bytes no writer would make. */

export function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.of(...bytes, Number(rest));
}

export const join = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts));

export const tag = (field: number, wire: number) => varint(BigInt(field) * 8n + BigInt(wire));

/** A length-delimited field: bytes, a text or a message. */
export function block(field: number, ...content: readonly (Uint8Array | string)[]): Uint8Array {
  const bytes = join(...content.map((one) => (typeof one === 'string' ? Buffer.from(one) : one)));
  return join(tag(field, 2), varint(bytes.length), bytes);
}

export const number = (field: number, value: number | bigint) => join(tag(field, 0), varint(value));

export function fixed32(field: number, value: number): Uint8Array {
  return join(tag(field, 5), new Uint8Array(Float32Array.of(value).buffer));
}

/** ModelProto with the given graph fields. */
export const modelOf = (...graph: readonly Uint8Array[]) => join(number(1, 8), block(7, ...graph));

/** ModelProto with one initializer that has the given TensorProto fields. */
export const modelWithTensor = (...tensor: readonly Uint8Array[]) =>
  modelOf(block(5, block(8, 'w'), ...tensor));
