import type { Facts } from '../../contracts/facts.ts';
import type { DelegateOptions } from '../../runtime/types.ts';

/*
 * Models that edgetpu_compiler has compiled: one or more operators of its own hold what the Edge TPU
 * runs, and libedgetpu's delegate takes them.
 */

/** Found by the system's linker; the probe says where it is missing (hardware/edgetpu.ts). */
export const EDGE_TPU_DELEGATE: DelegateOptions = { path: 'libedgetpu.so.1', options: {} };

/** From here on a USB link is USB 3. */
const USB_3_MBPS = 5000;

type Accelerator = Facts['accelerators'][number];

function edgeTpus({ accelerators }: Pick<Facts, 'accelerators'>): readonly Accelerator[] {
  return accelerators.filter(({ kind }) => kind === 'edgetpu-usb' || kind === 'edgetpu-pcie');
}

/** The Edge TPU to use: of several, the one with the fastest link. */
export function usableEdgeTpu(facts: Pick<Facts, 'accelerators'>): Accelerator | undefined {
  const speed = ({ kind, usbMbps = 0 }: Accelerator) =>
    kind === 'edgetpu-pcie' ? Infinity : usbMbps;
  return edgeTpus(facts)
    .filter(({ usable }) => usable)
    .toSorted((a, b) => speed(b) - speed(a))[0];
}

/** Why none can be used, in the words of the probe. */
export function noEdgeTpu(facts: Pick<Facts, 'accelerators'>): string {
  const [first] = edgeTpus(facts);
  if (first === undefined) return 'none was found on this device';
  return `${first.kind} cannot be used: ${first.problem ?? 'unknown reason'}`;
}

/** `edgetpu-usb usb 1-1 18d1:9302, 480 Mb/s (USB 2: transfers dominate)` */
export function edgeTpuWords({ kind, device }: Accelerator): string {
  return device === undefined ? kind : `${kind} ${device}`;
}

/** What is worth telling of the link; the known cost of USB 2. */
export function linkWarning({ kind, usbMbps }: Accelerator): string | undefined {
  if (kind !== 'edgetpu-usb' || usbMbps === undefined || usbMbps >= USB_3_MBPS) return undefined;
  return `the Edge TPU is on a USB 2 link (${usbMbps} Mb/s): transfers dominate; a USB 3 port makes it faster`;
}
