// Hailo-8 and Hailo-8L have the same PCI ids; only the firmware, asked through hailortcli, tells
// them apart. Until it has been asked the smaller one is reported.
import type { PciDevice } from './buses.ts';
import { accelerator, hasLibrary, type Accelerator } from './accelerator.ts';
import { foundFact, missFact, type Reading } from './facts-log.ts';
import { messageOf } from '../util/errors.ts';
import { askTool } from './tool.ts';

const VENDOR = 0x1e60;
const HAILO_8_OR_8L = 0x2864;
/** Other chips of the maker, which the contract has no kind for. */
const OTHERS = new Map([
  [0x45c4, 'Hailo-10H'],
  [0x43a2, 'Hailo-15L'],
  [0x26a2, 'Mars'],
]);
const FACT = 'accelerators.hailo';
const IDENTIFY_TIMEOUT_MS = 3000;
const LIBRARY = /^libhailort\.so/;

/** `hailo-8` or `hailo-8l` from the output of `hailortcli fw-control identify`, or null. */
export function parseHailoArchitecture(output: string): 'hailo-8' | 'hailo-8l' | null {
  const [, architecture] = /^Device Architecture:\s*(HAILO8L?)\s*$/m.exec(output) ?? [];
  if (architecture === undefined) return null;
  return architecture === 'HAILO8L' ? 'hailo-8l' : 'hailo-8';
}

/** Every Hailo-8 and Hailo-8L, with the reason and the fix where it cannot be used. */
export async function readHailos(
  reading: Reading,
  arch: string,
  pci: readonly PciDevice[],
): Promise<readonly Accelerator[]> {
  const ours = pci.filter(({ vendor }) => vendor === VENDOR);
  const other = ours.flatMap(({ device }) => OTHERS.get(device) ?? []);
  if (other.length > 0)
    missFact(reading, FACT, `${other.join(', ')} found, which is not supported`);
  const cards = ours.filter(({ device }) => device === HAILO_8_OR_8L);
  if (cards.length === 0) return [];
  // A recording may be without programs and libraries; then it cannot tell whether this one is there.
  const tells = reading.tree.live || (await reading.tree.exists('/usr/lib'));
  const library = !tells || (await hasLibrary(reading, arch, LIBRARY));
  return Promise.all(cards.map((card, number) => readCard(reading, card, number, library)));
}

async function readCard(
  reading: Reading,
  card: PciDevice,
  number: number,
  library: boolean,
): Promise<Accelerator> {
  const node = `/dev/hailo${number}`;
  const present = await reading.tree.exists(node);
  const writable = present && (await reading.tree.writable(node));
  const problem = hailoProblem({ node, present, writable, library });
  const kind = problem === null ? await identify(reading, card) : null;
  foundFact(reading, FACT, `/sys/bus/pci/devices/${card.address}/device`);
  if (kind === null) {
    const why = 'Hailo-8 and Hailo-8L share a PCI id; taken for the smaller one until identified';
    missFact(reading, 'accelerators.hailo.variant', why);
  }
  return accelerator(kind ?? 'hailo-8l', `${node} pci ${card.address}`, problem);
}

export interface HailoState {
  readonly node: string;
  readonly present: boolean;
  readonly writable: boolean;
  /** Whether libhailort.so is installed. */
  readonly library: boolean;
}

/** What keeps a Hailo from being used, with the fix; null when nothing does. */
export function hailoProblem({ node, present, writable, library }: HailoState): string | null {
  if (!present) return `its driver is not loaded (no ${node}): apt install hailo-all, then reboot`;
  if (!library) return 'HailoRT is not installed (no libhailort.so): apt install hailo-all';
  if (!writable) return `no permission for ${node}: check its udev rule and group`;
  return null;
}

async function identify(reading: Reading, card: PciDevice): Promise<'hailo-8' | 'hailo-8l' | null> {
  // A recording cannot be asked, and asking the machine we run on would mix the two.
  if (!reading.tree.live) return null;
  const args = ['fw-control', 'identify', '-s', card.address];
  try {
    return parseHailoArchitecture(await askTool('hailortcli', args, IDENTIFY_TIMEOUT_MS));
  } catch (error) {
    missFact(reading, 'accelerators.hailo.identify', `hailortcli: ${messageOf(error)}`);
    return null;
  }
}
