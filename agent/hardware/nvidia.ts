import { accelerator, hasLibrary, type Accelerator } from './accelerator.ts';
import { foundFact, type Reading } from './facts-log.ts';
import { readTegra } from './tegra.ts';

/** Modules with a deep learning accelerator beside the GPU; the Orin Nano and Thor have none. */
const WITH_DLA: readonly string[] = [
  'jetson-xavier-nx',
  'jetson-agx-xavier',
  'jetson-orin-nx',
  'jetson-agx-orin',
];
const TENSORRT = /^libnvinfer\.so/;
const NO_TENSORRT = 'TensorRT is not installed (no libnvinfer.so): apt install nvidia-jetpack';
/** Nodes of the GPU's driver; which ones there are depends on the release. */
const NODES = ['/dev/nvmap', '/dev/nvhost-gpu', '/dev/nvgpu', '/dev/nvidiactl'];
const NO_NODES = `no device node of the GPU (${NODES.join(', ')}): load its driver, or give the container --runtime nvidia`;

/** The GPU and DLA of a Jetson, told by SoC and module; usable once driver and TensorRT are there. */
export async function readNvidia(
  reading: Reading,
  board: { readonly id: string; readonly compatible: readonly string[] },
): Promise<readonly Accelerator[]> {
  const tegra = await readTegra(reading, board.compatible);
  if (tegra === null) return [];
  foundFact(reading, 'accelerators.nvidia-gpu', tegra.source);
  const problem = await problemOf(reading);
  const soc = `nvidia,${tegra.soc ?? 'tegra'}`;
  const gpu = accelerator('nvidia-gpu', soc, problem);
  return WITH_DLA.includes(board.id) ? [gpu, accelerator('nvidia-dla', soc, problem)] : [gpu];
}

async function problemOf(reading: Reading): Promise<string | null> {
  // A recording rarely holds device nodes, so their absence there says nothing.
  const { live } = reading.tree;
  const nodes = await Promise.all(NODES.map((node) => reading.tree.exists(node)));
  if (live && !nodes.includes(true)) return NO_NODES;
  return (await hasLibrary(reading, 'arm64', TENSORRT)) ? null : NO_TENSORRT;
}
