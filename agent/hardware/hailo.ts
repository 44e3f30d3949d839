// Hailo-8 and Hailo-8L have the same PCI ids; only the firmware, asked through hailortcli, tells
// them apart. Until it has been asked the smaller one is reported.
import type { PciDevice } from './buses.ts';
import { accelerator, hasLibrary, type Accelerator } from './accelerator.ts';
import { foundFact, listFolder, missFact, readOptional, type Reading } from './facts-log.ts';
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
const NODES = '/sys/class/hailo_chardev';
const MODULE = '/sys/module/hailo_pci';
const FIRMWARE_FOLDERS = ['/lib/firmware', '/usr/lib/firmware'];
const FIRMWARE = 'hailo/hailo8_fw.bin';
/** The kernel loads it compressed as well; newer drivers have their version in its name. */
const FIRMWARE_NAME = /^hailo8_fw(\.[\d.]+)?\.bin(\.xz|\.zst)?$/;

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
  const nodes = await readNodes(reading);
  const installed = {
    library,
    driver: await hasDriver(reading),
    firmware: await hasFirmware(reading),
  };
  return Promise.all(
    cards.map((card, number) => {
      const node = nodes.get(card.address) ?? `hailo${number}`;
      return readCard(reading, card, `/dev/${node}`, installed);
    }),
  );
}

/** PCI address -> device node; the numbers of nodes need not follow the order of the bus. */
async function readNodes(reading: Reading): Promise<ReadonlyMap<string, string>> {
  const names = await listFolder(reading, FACT, NODES, /^hailo\d{1,3}$/);
  const read = names.map(async (name) => {
    const address = (await readOptional(reading.tree, `${NODES}/${name}/board_location`))?.trim();
    return [address ?? '', name] as const;
  });
  return new Map(await Promise.all(read));
}

function hasDriver(reading: Reading): Promise<boolean> {
  return reading.tree.exists(MODULE);
}

/** A recording without firmware folder and without the driver's own folder tells nothing. */
async function hasFirmware(reading: Reading): Promise<boolean> {
  const { tree } = reading;
  const exists = async (paths: readonly string[]) =>
    (await Promise.all(paths.map((path) => tree.exists(path)))).includes(true);
  const found = FIRMWARE_FOLDERS.map((folder) =>
    listFolder(reading, FACT, `${folder}/hailo`, FIRMWARE_NAME),
  );
  if ((await Promise.all(found)).flat().length > 0) return true;
  return !(tree.live || (await exists([...FIRMWARE_FOLDERS, MODULE])));
}

type Installed = Pick<HailoState, 'library' | 'driver' | 'firmware'>;

async function readCard(
  reading: Reading,
  card: PciDevice,
  node: string,
  installed: Installed,
): Promise<Accelerator> {
  const present = await reading.tree.exists(node);
  const writable = present && (await reading.tree.writable(node));
  const problem = hailoProblem({ node, present, writable, ...installed });
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
  /** Whether the kernel's module is loaded. */
  readonly driver: boolean;
  /** Whether the file is there that the driver sends to the device when it starts. */
  readonly firmware: boolean;
}

/** What keeps a Hailo from being used, with the fix; null when nothing does. */
export function hailoProblem(state: HailoState): string | null {
  const { node, present, writable, library, driver, firmware } = state;
  if (!firmware && (present || driver)) {
    return `its firmware is missing (${FIRMWARE_FOLDERS[0]}/${FIRMWARE}): apt install hailo-all, then reboot`;
  }
  if (!present && driver) {
    return `${node} is missing although its driver is loaded: see dmesg, or give the container --device ${node}`;
  }
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
