import { ARM32_WORDS, armCore, armVendor, INFERENCE_FEATURES } from './cpu-names.ts';
import { nonsense } from './error.ts';
import { parseLine } from './parse.ts';

/** One `key : value` block of /proc/cpuinfo. */
type Block = ReadonlyMap<string, string>;

export interface Cpuinfo {
  /** One block per online core; numbers may have holes, and cores may differ. */
  readonly cores: readonly Block[];
  /** Every block, also the one without a core that Raspberry Pis end with. */
  readonly blocks: readonly Block[];
}

/**
 * Splits /proc/cpuinfo: an empty line ends a block, and so does the next core, which old arm64
 * kernels list without anything between. Raises a HardwareError when there is no `key : value` line.
 */
export function parseCpuinfo(text: string): Cpuinfo {
  const blocks = text
    .split(/\n\s*\n|\n(?=processor\s*:)/)
    .map(parseBlock)
    .filter((block) => block.size > 0);
  if (blocks.length === 0) throw nonsense('lines of "key : value"', text);
  return { cores: blocks.filter((block) => block.has('processor')), blocks };
}

function parseBlock(text: string): Block {
  const block = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) block.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return block;
}

function valuesOf(info: Cpuinfo, key: string): readonly string[] {
  const own = info.cores.flatMap((core) => core.get(key) ?? []);
  // Kernels before 3.8 print the features once, in a block of their own.
  return own.length > 0 ? own : info.blocks.flatMap((block) => block.get(key) ?? []);
}

function wordsOf(info: Cpuinfo): readonly (readonly string[])[] {
  const lines = [...valuesOf(info, 'flags'), ...valuesOf(info, 'Features')];
  return lines.map((line) => line.split(/\s+/));
}

/** `x64`, `ia32`, `arm64`, `arm` or `riscv64`, from the format alone. */
export function archOf(info: Cpuinfo): string {
  const [words = []] = wordsOf(info);
  if (valuesOf(info, 'flags').length > 0) return words.includes('lm') ? 'x64' : 'ia32';
  if (valuesOf(info, 'isa').some((isa) => isa.startsWith('rv64'))) return 'riscv64';
  // Old arm64 kernels list the words of both; a 32-bit kernel has none of these.
  if (words.includes('asimd') || words.includes('fp')) return 'arm64';
  if (words.some((word) => ARM32_WORDS.includes(word))) return 'arm';
  const [architecture = ''] = valuesOf(info, 'CPU architecture');
  if (/^(8|AArch64)/.test(architecture)) return 'arm64';
  if (/^[4-7]/.test(architecture)) return 'arm';
  throw nonsense(
    'the cpuinfo of a known architecture',
    [...(info.blocks[0]?.keys() ?? [])].join(' '),
  );
}

/** The features that every online core has: threads wander between big and little cores. */
export function featuresOf(info: Cpuinfo): readonly string[] {
  const words = wordsOf(info);
  if (words.length === 0) throw nonsense('a line "flags" or "Features"', '');
  return INFERENCE_FEATURES.filter((name) => words.every((core) => core.includes(name)));
}

export function vendorOf(info: Cpuinfo): string {
  const [x86] = valuesOf(info, 'vendor_id');
  if (x86 !== undefined) return parseLine(x86);
  return unique(valuesOf(info, 'CPU implementer').map((text) => armVendor(armNumber(text))));
}

/** `model name` on x86; on ARM the set of cores, e.g. `Cortex-A55 + Cortex-A76`. */
export function modelOf(info: Cpuinfo): string {
  const parts = valuesOf(info, 'CPU part');
  const implementers = valuesOf(info, 'CPU implementer');
  // `model name` on ARM says "ARMv8 Processor rev 1 (v8l)" whatever the core is.
  if (parts.length === 0 || implementers.length === 0) {
    const names = valuesOf(info, 'model name');
    // RISC-V: `sifive,u74-mc`.
    return unique((names.length > 0 ? names : valuesOf(info, 'uarch')).map(parseLine));
  }
  return unique(
    parts.map((part, at) =>
      armCore(armNumber(implementers[at] ?? implementers[0] ?? ''), armNumber(part)),
    ),
  );
}

/** The `Revision` code of a Raspberry Pi, or null. */
export function revisionOf(info: Cpuinfo): number | null {
  const [text = ''] = info.blocks.flatMap((block) => block.get('Revision') ?? []);
  return /^[0-9a-f]{4,8}$/i.test(text) ? Number.parseInt(text, 16) : null;
}

function armNumber(text: string): number {
  if (!/^0x[0-9a-f]{1,4}$/i.test(text)) throw nonsense('a number such as 0xd08', text);
  return Number.parseInt(text, 16);
}

function unique(names: readonly string[]): string {
  if (names.length === 0) throw nonsense('the name of the CPU', '');
  return [...new Set(names)].join(' + ');
}
