/**
 * Just enough of a WebAssembly assembler for two straight-line kernels: functions of i32
 * parameters over one imported memory, nested counting loops, 128-bit float vectors.
 * Opcodes: WebAssembly core specification 2.0, section 5.4.
 */

const I32 = 0x7f;
const V128 = 0x7b;

/** Unsigned LEB128. */
function unsigned(value) {
  const bytes = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

/** Signed LEB128. */
function signed(value) {
  const bytes = [];
  let rest = value;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && byte < 0x40) || (rest === -1 && byte >= 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const simd = (code) => [0xfd, ...unsigned(code)];
const memory = (offset) => [0, ...unsigned(offset)];
const ALIGNED_4 = (offset) => [2, ...unsigned(offset)];

/** Expressions; an instruction is an array of bytes. */
export const get = (local) => [0x20, ...unsigned(local)];
export const set = (local, value) => [...value, 0x21, ...unsigned(local)];
export const integer = (value) => [0x41, ...signed(value)];
export const add = (a, b) => [...a, ...b, 0x6a];
export const loadInteger = (address) => [...address, 0x28, ...ALIGNED_4(0)];
export const zero = () => [...simd(0x0c), ...Array.from({ length: 16 }, () => 0)];
export const load = (address, offset = 0) => [...address, ...simd(0x00), ...memory(offset)];
export const loadSplat = (address, offset = 0) => [...address, ...simd(0x09), ...memory(offset)];
export const store = (address, value, offset = 0) => [
  ...address,
  ...value,
  ...simd(0x0b),
  ...memory(offset),
];
export const multiply = (a, b) => [...a, ...b, ...simd(0xe6)];
export const plus = (a, b) => [...a, ...b, ...simd(0xe4)];

/** local += value */
export const advance = (local, value) => set(local, add(get(local), value));

/** Opcodes: loop without results; branch to its start; end. */
const LOOP = [0x03, 0x40];
const REPEAT_UNLESS_ZERO = [0x0d, 0x00];
const END = 0x0b;

/** Repeats the body until local, counted down by one each time, is zero; at least once. */
export const countDown = (local, body) => [
  ...LOOP,
  ...body,
  ...advance(local, integer(-1)),
  ...get(local),
  ...REPEAT_UNLESS_ZERO,
  END,
];

const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

const times = (count, item) => Array.from({ length: count }, () => item);
const vector = (items) => [...unsigned(items.length), ...items.flat()];
const section = (id, content) => [id, ...unsigned(content.length), ...content];
const text = (value) => vector([...value].map((c) => [c.charCodeAt(0)]));

/**
 * @typedef {{ parameters: number, integers: number, vectors: number, body: number[] }} Kernel
 * Locals are numbered: parameters, then further integers, then vectors.
 */

/**
 * Assembles kernels into a module that imports `env.memory` and exports each by its name.
 * @param {Readonly<Record<string, Kernel>>} kernels
 * @returns {Uint8Array}
 */
export function assemble(kernels) {
  const list = Object.entries(kernels);
  const types = list.map(([, k]) => [0x60, ...vector(times(k.parameters, [I32])), 0]);
  const codes = list.map(([, k]) => {
    const locals = vector([
      [...unsigned(k.integers), I32],
      [...unsigned(k.vectors), V128],
    ]);
    const code = [...locals, ...k.body, END];
    return [...unsigned(code.length), ...code];
  });
  return Uint8Array.from([
    ...MAGIC_AND_VERSION,
    ...section(1, vector(types)),
    ...section(2, vector([[...text('env'), ...text('memory'), 2, 0, 1]])),
    ...section(3, vector(list.map((_, i) => unsigned(i)))),
    ...section(7, vector(list.map(([name], i) => [...text(name), 0, ...unsigned(i)]))),
    ...section(10, vector(codes)),
  ]);
}
