// Accelerators that the agent has no runtime for. They are named, so that nobody wonders why they are
// not used, and never taken for one of those that it can use.
import type { PciDevice } from './buses.ts';
import { missFact, type Reading } from './facts-log.ts';

interface OtherNpu {
  readonly fact: string;
  readonly name: string;
  /** Files that only this one has. */
  readonly paths?: readonly string[];
  /** Its PCI ids, `8086:7d1d`: they are there without a driver, too. */
  readonly pci?: readonly string[];
  /** The SoCs that it is part of, by device-tree `compatible`. */
  readonly soc?: RegExp;
}

const NPUS: readonly OtherNpu[] = [
  {
    fact: 'accelerators.rknpu',
    name: 'Rockchip RKNPU',
    // Its version file is in debugfs, which only root may read: the SoC tells, too.
    paths: ['/sys/kernel/debug/rknpu/version', '/sys/module/rknpu'],
    soc: /^rockchip,rk(3562|3566|3568|3576|3582|3583|3588|1808|3399pro|1126|1103|1106)[a-z]?$/,
  },
  {
    fact: 'accelerators.intel-npu',
    name: 'Intel NPU',
    paths: ['/sys/module/intel_vpu'],
    // Meteor, Arrow, Lunar, Panther Lake.
    pci: ['8086:7d1d', '8086:ad1d', '8086:643e', '8086:b03e'],
  },
  {
    fact: 'accelerators.amd-npu',
    name: 'AMD XDNA NPU',
    paths: ['/sys/module/amdxdna'],
    // Phoenix and Hawk Point, then Strix and its successors.
    pci: ['1022:1502', '1022:17f0'],
  },
  { fact: 'accelerators.vivante-npu', name: 'VeriSilicon NPU', soc: /^fsl,imx8mp$/ },
  { fact: 'accelerators.ethos-npu', name: 'Arm Ethos-U65 NPU', soc: /^fsl,imx93$/ },
  { fact: 'accelerators.neutron-npu', name: 'NXP eIQ Neutron NPU', soc: /^fsl,imx95$/ },
  {
    fact: 'accelerators.ti-npu',
    name: 'TI C7x DSP',
    // TDA4 and the AM6xA; the AM62 and AM64 have none.
    soc: /^ti,(j721e|j721s2|j722s|j742s2|j784s4|am62a\d?|am62d2|am67a?|am68a?|am69a?)$/,
  },
  {
    fact: 'accelerators.amlogic-npu',
    name: 'Amlogic NPU',
    soc: /^amlogic,(a311d|s905d3|c308x)$/,
  },
  {
    fact: 'accelerators.mediatek-apu',
    name: 'MediaTek APU',
    soc: /^mediatek,mt(8188|8195|8390|8395)$/,
  },
  {
    fact: 'accelerators.hexagon',
    name: 'Qualcomm Hexagon DSP',
    // The string of the board may be the only one that names the SoC: `qcom,qcs6490-rb3gen2`.
    soc: /^qcom,(qc[ms]\d+|qrb\d+|sdm845|sm[78]\d+|sc7280|sc8[12]80xp?|x1[ep]\d+|sa8\d+p)(-|$)/,
  },
  {
    fact: 'accelerators.apple-ane',
    name: 'Apple Neural Engine',
    soc: /^apple,t(8103|8112|8122|60[0-3]\d)$/,
  },
];

/** Notes accelerators that are there and cannot be used by this program. */
export async function noteOtherNpus(
  reading: Reading,
  compatible: readonly string[],
  devices: readonly PciDevice[],
): Promise<void> {
  const ids = devices.map(pciId);
  for (const { fact, name, paths = [], pci = [], soc } of NPUS) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of questions
    const found = await Promise.all(paths.map((path) => reading.tree.exists(path)));
    const bySoc = soc !== undefined && compatible.some((entry) => soc.test(entry));
    if (!bySoc && !found.includes(true) && !pci.some((id) => ids.includes(id))) continue;
    missFact(reading, fact, `${name} found; the agent has no runtime for it, and uses the CPU`);
  }
}

function pciId({ vendor, device }: PciDevice): string {
  return [vendor, device].map((id) => id.toString(16).padStart(4, '0')).join(':');
}
