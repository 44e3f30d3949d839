import { isTegra } from './board-ids.ts';
import { accelerator, hasLibrary, type Accelerator } from './accelerator.ts';
import { foundFact, type Reading } from './facts-log.ts';

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

/** The GPU and DLA of a Jetson, told by its device tree; usable once driver and TensorRT are there. */
export async function readNvidia(
  reading: Reading,
  board: { readonly id: string; readonly compatible: readonly string[] },
): Promise<readonly Accelerator[]> {
  if (!isTegra(board.compatible)) return [];
  const source = reading.sources.get('board.compatible');
  if (source !== undefined) foundFact(reading, 'accelerators.nvidia-gpu', source);
  const problem = await problemOf(reading);
  const soc = board.compatible.find((entry) => entry.startsWith('nvidia,tegra')) ?? '';
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
