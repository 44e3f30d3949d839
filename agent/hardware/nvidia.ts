import { isTegra } from './board-ids.ts';
import { accelerator, type Accelerator } from './edgetpu.ts';
import { foundFact, listFolder, type Reading } from './facts-log.ts';

/** Modules with a deep learning accelerator beside the GPU; the Orin Nano and Thor have none. */
const WITH_DLA: readonly string[] = [
  'jetson-xavier-nx',
  'jetson-agx-xavier',
  'jetson-orin-nx',
  'jetson-agx-orin',
];
const LIBRARIES = ['/usr/lib/aarch64-linux-gnu', '/usr/lib'];
const TENSORRT = /^libnvinfer\.so/;
const NO_TENSORRT = 'TensorRT is not installed (no libnvinfer.so): apt install nvidia-jetpack';

/** The GPU and DLA of a Jetson, told by its device tree; usable once TensorRT is there. */
export async function readNvidia(
  reading: Reading,
  board: { readonly id: string; readonly compatible: readonly string[] },
): Promise<readonly Accelerator[]> {
  if (!isTegra(board.compatible)) return [];
  const source = reading.sources.get('board.compatible');
  if (source !== undefined) foundFact(reading, 'accelerators.nvidia-gpu', source);
  const problem = (await hasTensorRt(reading)) ? null : NO_TENSORRT;
  const soc = board.compatible.find((entry) => entry.startsWith('nvidia,tegra')) ?? '';
  const gpu = accelerator('nvidia-gpu', soc, problem);
  return WITH_DLA.includes(board.id) ? [gpu, accelerator('nvidia-dla', soc, problem)] : [gpu];
}

async function hasTensorRt(reading: Reading): Promise<boolean> {
  const found = LIBRARIES.map((folder) => listFolder(reading, 'accelerators', folder, TENSORRT));
  return (await Promise.all(found)).flat().length > 0;
}
