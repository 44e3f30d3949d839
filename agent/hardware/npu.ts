// Accelerators that the agent has no runtime for. They are named, so that nobody wonders why they are
// not used, and never taken for one of those that it can use.
import { missFact, type Reading } from './facts-log.ts';

interface OtherNpu {
  readonly fact: string;
  readonly name: string;
  /** Files that only this one has. */
  readonly paths: readonly string[];
  /** The SoCs that it is part of, by device-tree `compatible`. */
  readonly soc: RegExp | null;
}

const NPUS: readonly OtherNpu[] = [
  {
    fact: 'accelerators.rknpu',
    name: 'Rockchip RKNPU',
    // Its version file is in debugfs, which only root may read: the SoC tells, too.
    paths: ['/sys/kernel/debug/rknpu/version', '/sys/module/rknpu'],
    soc: /^rockchip,rk(3566|3568|3576|3588s?|1808|3399pro|1126b?|1103b?|1106b?)$/,
  },
  {
    fact: 'accelerators.intel-npu',
    name: 'Intel NPU',
    paths: ['/sys/module/intel_vpu'],
    soc: null,
  },
  {
    fact: 'accelerators.vivante-npu',
    name: 'VeriSilicon NPU',
    paths: [],
    soc: /^fsl,imx8mp$/,
  },
];

/** Notes accelerators that are there and cannot be used by this program. */
export async function noteOtherNpus(
  reading: Reading,
  compatible: readonly string[],
): Promise<void> {
  for (const { fact, name, paths, soc } of NPUS) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of questions
    const found = await Promise.all(paths.map((path) => reading.tree.exists(path)));
    const bySoc = soc !== null && compatible.some((entry) => soc.test(entry));
    if (!bySoc && !found.includes(true)) continue;
    missFact(reading, fact, `${name} found; the agent has no runtime for it, and uses the CPU`);
  }
}
