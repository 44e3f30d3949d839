// From device-tree `compatible` strings to board ids. `compatible` decides because `model` is free
// text: a TX2 calls itself "quill", and one Orin kit had four names in four releases.

/** Strings that name a board by themselves. */
const BY_COMPATIBLE = new Map([
  ['raspberrypi,model-zero-2-w', 'rpi-zero-2w'],
  ['raspberrypi,model-zero-2', 'rpi-zero-2w'],
  ['raspberrypi,3-model-b', 'rpi-3b'],
  ['raspberrypi,3-model-b-plus', 'rpi-3b-plus'],
  ['raspberrypi,4-model-b', 'rpi-4b'],
  ['raspberrypi,400', 'rpi-400'],
  ['raspberrypi,4-compute-module', 'rpi-cm4'],
  ['raspberrypi,5-model-b', 'rpi-5'],
  ['raspberrypi,5-compute-module', 'rpi-cm5'],
  // Many boards share fsl,imx8mq: only "phanbell" is the Coral Dev Board.
  ['fsl,imx8mq-phanbell', 'coral-dev-board'],
  ['google,imx8mq-phanbell', 'coral-dev-board'],
  ['radxa,rock-5b', 'rk3588-rock5b'],
]);

/** Jetson modules by part number; the carrier board's number says nothing. */
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

/** Board types in the revision code of a Raspberry Pi, for trees without a device tree. */
const BY_PI_TYPE = new Map([
  [0x08, 'rpi-3b'],
  [0x0d, 'rpi-3b-plus'],
  [0x11, 'rpi-4b'],
  [0x12, 'rpi-zero-2w'],
  [0x13, 'rpi-400'],
  [0x14, 'rpi-cm4'],
  [0x17, 'rpi-5'],
  [0x18, 'rpi-cm5'],
  [0x1a, 'rpi-cm5'],
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
  // The one board that can only be told by its name: its compatible string is that of its SoC.
  const mini = compatible.includes('mediatek,mt8167') && model?.includes('Coral') === true;
  return mini ? 'coral-dev-board-mini' : null;
}

function jetsonModule(compatible: readonly string[]): string | null {
  const parts = compatible.flatMap((entry) => entry.match(/p\d{4}-\d{4}/g) ?? []);
  const ids = parts.flatMap(
    (part) => JETSON_MODULES.find(([module]) => module.test(part))?.[1] ?? [],
  );
  return ids[0] ?? null;
}

/** Whether the SoC is an NVIDIA Tegra, which is what every Jetson has. */
export function isTegra(compatible: readonly string[]): boolean {
  return compatible.some((entry) => entry.startsWith('nvidia,tegra'));
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
