// Names for the numbers in /proc/cpuinfo of ARM cores, and the ISA features that decide which
// kernels an inference runtime can use.

const IMPLEMENTERS = new Map([
  [0x41, 'ARM'],
  [0x42, 'Broadcom'],
  [0x43, 'Cavium'],
  [0x46, 'Fujitsu'],
  [0x48, 'HiSilicon'],
  [0x4e, 'NVIDIA'],
  [0x50, 'APM'],
  [0x51, 'Qualcomm'],
  [0x53, 'Samsung'],
  [0x56, 'Marvell'],
  [0x61, 'Apple'],
  [0x69, 'Intel'],
  [0x6d, 'Microsoft'],
  [0x70, 'Phytium'],
  [0xc0, 'Ampere'],
]);

const PARTS = new Map([
  ['41:b76', 'ARM1176'],
  ['41:c05', 'Cortex-A5'],
  ['41:c07', 'Cortex-A7'],
  ['41:c08', 'Cortex-A8'],
  ['41:c09', 'Cortex-A9'],
  ['41:c0d', 'Cortex-A17'],
  ['41:c0e', 'Cortex-A17'],
  ['41:c0f', 'Cortex-A15'],
  ['41:d01', 'Cortex-A32'],
  ['41:d02', 'Cortex-A34'],
  ['41:d03', 'Cortex-A53'],
  ['41:d04', 'Cortex-A35'],
  ['41:d05', 'Cortex-A55'],
  ['41:d06', 'Cortex-A65'],
  ['41:d07', 'Cortex-A57'],
  ['41:d08', 'Cortex-A72'],
  ['41:d09', 'Cortex-A73'],
  ['41:d0a', 'Cortex-A75'],
  ['41:d0b', 'Cortex-A76'],
  ['41:d0c', 'Neoverse-N1'],
  ['41:d0d', 'Cortex-A77'],
  ['41:d0e', 'Cortex-A76AE'],
  ['41:d40', 'Neoverse-V1'],
  ['41:d41', 'Cortex-A78'],
  ['41:d42', 'Cortex-A78AE'],
  ['41:d44', 'Cortex-X1'],
  ['41:d46', 'Cortex-A510'],
  ['41:d47', 'Cortex-A710'],
  ['41:d48', 'Cortex-X2'],
  ['41:d49', 'Neoverse-N2'],
  ['41:d4a', 'Neoverse-E1'],
  ['41:d4b', 'Cortex-A78C'],
  ['41:d4c', 'Cortex-X1C'],
  ['41:d4d', 'Cortex-A715'],
  ['41:d4e', 'Cortex-X3'],
  ['41:d4f', 'Neoverse-V2'],
  ['41:d80', 'Cortex-A520'],
  ['41:d81', 'Cortex-A720'],
  ['41:d82', 'Cortex-X4'],
  ['41:d83', 'Neoverse-V3AE'],
  ['41:d84', 'Neoverse-V3'],
  ['41:d85', 'Cortex-X925'],
  ['41:d87', 'Cortex-A725'],
  ['41:d8e', 'Neoverse-N3'],
  ['4e:003', 'Denver2'],
  ['4e:004', 'Carmel'],
]);

export function armVendor(implementer: number): string {
  return IMPLEMENTERS.get(implementer) ?? `implementer 0x${implementer.toString(16)}`;
}

export function armCore(implementer: number, part: number): string {
  const key = `${implementer.toString(16)}:${part.toString(16).padStart(3, '0')}`;
  return PARTS.get(key) ?? `${armVendor(implementer)} part 0x${part.toString(16).padStart(3, '0')}`;
}

/**
 * The features worth reporting, in the order in which they are reported. `fp` is not among them:
 * it is plain floating point; FP16 arithmetic is `fphp` (scalar) with `asimdhp` (vector).
 */
export const INFERENCE_FEATURES = [
  // arm64: vectors, INT8 dot product, FP16 arithmetic, INT8 matrices, the scalable units
  'asimd',
  'asimddp',
  'fphp',
  'asimdhp',
  'asimdfhm',
  'i8mm',
  'bf16',
  'sve',
  'sve2',
  'svei8mm',
  'svebf16',
  'sme',
  'sme2',
  // 32-bit arm
  'neon',
  'vfpv4',
  // x86; the kernel spells avx512_vnni and avx_vnni with an underscore
  'ssse3',
  'sse4_1',
  'sse4_2',
  'avx',
  'avx2',
  'fma',
  'f16c',
  'avx512f',
  'avx512dq',
  'avx512bw',
  'avx512vl',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_fp16',
  'avx_vnni',
  'avx_vnni_int8',
  'avx_vnni_int16',
  'amx_tile',
  'amx_int8',
  'amx_bf16',
  'amx_fp16',
] as const;

/** Words that only a 32-bit kernel prints, on the same silicon as a 64-bit one. */
export const ARM32_WORDS: readonly string[] = ['half', 'thumb', 'fastmult', 'vfp', 'neon', 'vfpv4'];
