// From device-tree `compatible` strings to board ids. `compatible` decides because `model` is free
// text: a TX2 calls itself "quill", and one Orin kit had four names in four releases.

/** Strings that name a board by themselves. */
const BY_COMPATIBLE = new Map([
  ['raspberrypi,model-zero-2-w', 'rpi-zero-2w'],
  ['raspberrypi,model-zero-2', 'rpi-zero-2w'],
  ['raspberrypi,3-model-b', 'rpi-3b'],
  ['raspberrypi,3-model-b-plus', 'rpi-3b-plus'],
  ['raspberrypi,3-model-a-plus', 'rpi-3a-plus'],
  // A CM3+ has the same string; only its model and its revision code tell.
  ['raspberrypi,3-compute-module', 'rpi-cm3'],
  ['raspberrypi,3-compute-module-lite', 'rpi-cm3'],
  ['raspberrypi,4-model-b', 'rpi-4b'],
  ['raspberrypi,400', 'rpi-400'],
  ['raspberrypi,4-compute-module', 'rpi-cm4'],
  ['raspberrypi,4-compute-module-s', 'rpi-cm4s'],
  ['raspberrypi,5-model-b', 'rpi-5'],
  ['raspberrypi,500', 'rpi-500'],
  ['raspberrypi,5-compute-module', 'rpi-cm5'],
  ['raspberrypi,5-compute-module-lite', 'rpi-cm5'],
  // Many boards share fsl,imx8mq: only "phanbell" is the Coral Dev Board.
  ['fsl,imx8mq-phanbell', 'coral-dev-board'],
  ['google,imx8mq-phanbell', 'coral-dev-board'],
  ['radxa,rock-5b', 'rk3588-rock5b'],
]);

/** Jetson modules by part number; the carrier board's number says nothing (the same carries several). */
const JETSON_MODULES: readonly (readonly [module: RegExp, id: string])[] = [
  [/^p3448-/, 'jetson-nano'],
  [/^p(3310|3489|3636)-/, 'jetson-tx2'],
  [/^p3668-/, 'jetson-xavier-nx'],
  [/^p2888-/, 'jetson-agx-xavier'],
  [/^p3767-000[01]$/, 'jetson-orin-nx'],
  [/^p3767-000[345]$/, 'jetson-orin-nano'],
  [/^p3701-/, 'jetson-agx-orin'],
  [/^p3834-/, 'jetson-agx-thor'],
];

/** Kits that the mainline kernel names by one number of their own, and not by that of the module. */
const JETSON_KITS = new Map([
  ['nvidia,p3450-0000', 'jetson-nano'],
  ['nvidia,jetson-nano', 'jetson-nano'],
  ['nvidia,p2771-0000', 'jetson-tx2'],
  ['nvidia,p2972-0000', 'jetson-agx-xavier'],
  ['nvidia,jetson-xavier', 'jetson-agx-xavier'],
  ['nvidia,galen', 'jetson-agx-xavier'],
]);

/** SoCs of which there is one module only. The others are on two kinds of module. */
const JETSON_SOCS = new Map([
  ['tegra186', 'jetson-tx2'],
  ['tegra264', 'jetson-agx-thor'],
]);
/** The Tegras of Jetsons from the TX1 on. TensorRT has never run on older ones. */
const TEGRA = /^nvidia,tegra(?:18|19|2[1-9])\w/;

/** Board types in the revision code of a Raspberry Pi, for trees without a device tree. */
const BY_PI_TYPE = new Map([
  [0x08, 'rpi-3b'],
  [0x0a, 'rpi-cm3'],
  [0x0d, 'rpi-3b-plus'],
  [0x0e, 'rpi-3a-plus'],
  [0x10, 'rpi-cm3'],
  [0x11, 'rpi-4b'],
  [0x12, 'rpi-zero-2w'],
  [0x13, 'rpi-400'],
  [0x14, 'rpi-cm4'],
  [0x15, 'rpi-cm4s'],
  [0x17, 'rpi-5'],
  [0x18, 'rpi-cm5'],
  [0x19, 'rpi-500'],
  [0x1a, 'rpi-cm5'],
  [0x1b, 'rpi-cm0'],
]);

const BY_ARCH = new Map([
  ['arm64', 'generic-arm64'],
  ['arm', 'generic-arm'],
  ['x64', 'generic-x86-64'],
]);

/** The board that a device tree describes, or null. */
export function boardOfCompatible(
  compatible: readonly string[],
  model: string | null,
): string | null {
  const named = compatible.flatMap((entry) => BY_COMPATIBLE.get(entry) ?? []);
  if (named[0] !== undefined) return named[0];
  const jetson = isTegra(compatible) ? jetsonModule(compatible) : null;
  if (jetson !== null) return jetson;
  // The one board that can only be told by its name: what is known of its compatible string is its SoC.
  const names = [...compatible, model ?? ''].some((text) => /\bcoral\b/i.test(text));
  const mini = compatible.includes('mediatek,mt8167') && names;
  return mini ? 'coral-dev-board-mini' : null;
}

function jetsonModule(compatible: readonly string[]): string | null {
  const parts = compatible.flatMap((entry) => entry.match(/p\d{4}-\d{4}/g) ?? []);
  const ids = parts.flatMap((part) => boardOfModule(part) ?? []);
  const kits = compatible.flatMap((entry) => JETSON_KITS.get(entry) ?? []);
  const socs = compatible.flatMap((entry) => boardOfSoc(entry.replace('nvidia,', '')) ?? []);
  return ids[0] ?? kits[0] ?? socs[0] ?? null;
}

/** The board of a Jetson module's part number, `p3448-0000`; null for another. */
export function boardOfModule(part: string): string | null {
  return JETSON_MODULES.find(([module]) => module.test(part))?.[1] ?? null;
}

/** The board of `tegra186` and others that are on one module only; null where that does not tell. */
export function boardOfSoc(soc: string): string | null {
  return JETSON_SOCS.get(soc) ?? null;
}

/**
 * The Jetson module that a `TNSPEC` names (`3767-300-0005-R.1-1-1-jetson-orin-nano-devkit-super-`:
 * board, fab, SKU), for device trees that name a carrier of somebody else; null for another.
 */
export function boardOfTnspec(tnspec: string): string | null {
  const [, module, sku] = /^(\d{4})-[^-]*-(\d{4})?-/.exec(tnspec) ?? [];
  if (module === undefined) return null;
  // Modules of which every SKU is the same board may leave the SKU out.
  const part = `p${module}-${sku ?? '0000'}`;
  const sized = module === '3767' && sku === undefined;
  return sized ? null : boardOfModule(part);
}

/** Whether the SoC is an NVIDIA Tegra as Jetsons have one. */
export function isTegra(compatible: readonly string[]): boolean {
  return compatible.some((entry) => TEGRA.test(entry));
}

/** The board of a Raspberry Pi revision code (new style: bit 23), or null. */
export function boardOfRevision(revision: number): string | null {
  const newStyle = ((revision >>> 23) & 1) === 1;
  return newStyle ? (BY_PI_TYPE.get((revision >>> 4) & 0xff) ?? null) : null;
}

/** `generic-arm64`, `generic-x86-64`, `generic-arm`, or `generic` for anything else. */
export function genericBoard(arch: string): string {
  return BY_ARCH.get(arch) ?? 'generic';
}
