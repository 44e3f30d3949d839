// Coral Edge TPUs. On USB the same stick has two ids: one before its first use, another once
// libedgetpu has loaded the firmware. On PCIe it needs the gasket and apex drivers.
import { accelerator, libraryFolders, type Accelerator } from './accelerator.ts';
import { PCI_ADDRESS, type PciDevice, type UsbDevice } from './buses.ts';
import { foundFact, listFolder, readOptional, type Reading } from './facts-log.ts';

/** Vendor and product together: 18d1 alone is any Google device. */
const USB_IDS: readonly string[] = ['1a6e:089a', '18d1:9302'];
const PCI_VENDOR = 0x1ac1;
const PCI_DEVICE = 0x089a;
const APEX = '/sys/class/apex';
/**
 * A device that fell off the bus answers with all ones, which the driver turns into -89.7 °C. Nothing
 * below the coldest that a part is made for is a temperature.
 */
const LOST_MILLI_CELSIUS = -40_000;
/** Kernels of the Raspberry Pi 5 with 16 KiB pages; the driver from outside of the kernel wants 4. */
const LARGE_PAGES = /-16k\b/;
const SMALL_PAGES =
  'on a kernel with 4 KiB pages (kernel=kernel8.img in /boot/firmware/config.txt)';

const NO_LIBRARY = 'libedgetpu.so.1 is not installed: apt install libedgetpu1-std';

async function hasLibrary(reading: Reading, arch: string): Promise<boolean> {
  const found = libraryFolders(arch).map((folder) =>
    reading.tree.exists(`${folder}/libedgetpu.so.1`),
  );
  return (await Promise.all(found)).includes(true);
}

/** Every Edge TPU of this machine, with the reason and the fix where it cannot be used. */
export async function readEdgeTpus(
  reading: Reading,
  arch: string,
  pci: readonly PciDevice[],
  usb: readonly UsbDevice[],
): Promise<readonly Accelerator[]> {
  const library = await hasLibrary(reading, arch);
  const sticks = usb.filter((device) => USB_IDS.includes(usbId(device)));
  const cards = pci.filter(({ vendor, device }) => vendor === PCI_VENDOR && device === PCI_DEVICE);
  return [
    ...(await readCards(reading, library, cards)),
    ...(await Promise.all(sticks.map((stick) => readStick(reading, library, stick)))),
  ];
}

function usbId({ vendor, product }: UsbDevice): string {
  return [vendor, product].map((id) => id.toString(16).padStart(4, '0')).join(':');
}

async function readStick(
  reading: Reading,
  library: boolean,
  stick: UsbDevice,
): Promise<Accelerator> {
  const { live } = reading.tree;
  // A recording rarely holds device nodes, so their absence there says nothing.
  const asked = live && stick.node !== null;
  const state: StickState = {
    library,
    node: stick.node,
    present: !asked || (await reading.tree.exists(stick.node)),
    writable: !asked || (await reading.tree.writable(stick.node)),
  };
  foundFact(reading, 'accelerators.edgetpu-usb', `/sys/bus/usb/devices/${stick.name}/idProduct`);
  const speed = stick.speed === null ? '' : `, ${stick.speed} Mb/s`;
  const slow = stick.speed !== null && stick.speed < 5000 ? ' (USB 2: transfers dominate)' : '';
  const device = `usb ${stick.name} ${usbId(stick)}${speed}${slow}`;
  const found = accelerator('edgetpu-usb', device, stickProblem(state));
  return stick.speed === null ? found : { ...found, usbMbps: stick.speed };
}

export interface StickState {
  readonly library: boolean;
  readonly node: string | null;
  readonly present: boolean;
  readonly writable: boolean;
}

/** What keeps a USB Edge TPU from being used, with the fix; null when nothing does. */
export function stickProblem({ library, node, present, writable }: StickState): string | null {
  if (!present)
    return `${node ?? '/dev/bus/usb'} is not visible: give the container --device /dev/bus/usb`;
  if (!library) return NO_LIBRARY;
  if (writable) return null;
  return `no permission for ${node ?? '/dev/bus/usb'}: usermod -aG plugdev USER, then log in again`;
}

async function readCards(
  reading: Reading,
  library: boolean,
  cards: readonly PciDevice[],
): Promise<readonly Accelerator[]> {
  // A container may have the node without the class, or the other way round.
  const [classes, devices] = await Promise.all(
    [APEX, '/dev'].map((folder) => listFolder(reading, 'accelerators', folder, /^apex_\d+$/)),
  );
  const names = [...new Set([...(classes ?? []), ...(devices ?? [])])];
  const nodes = await Promise.all(names.map((name) => readApex(reading, library, name)));
  const release = await readOptional(reading.tree, '/proc/sys/kernel/osrelease');
  const largePages = LARGE_PAGES.test(release?.trim() ?? '');
  const claimed = nodes.map(({ address }) => address);
  // A driver that does not say its address drives one of the cards, so that many are not orphans.
  const anonymous = claimed.filter((address) => address === null).length;
  const orphans = cards.filter(({ address }) => !claimed.includes(address)).slice(anonymous);
  if (cards[0] !== undefined) {
    foundFact(
      reading,
      'accelerators.edgetpu-pcie',
      `/sys/bus/pci/devices/${cards[0].address}/device`,
    );
  } else if (names[0] !== undefined) {
    const folder = classes?.includes(names[0]) === true ? APEX : '/dev';
    foundFact(reading, 'accelerators.edgetpu-pcie', `${folder}/${names[0]}`);
  }
  return [
    ...nodes.map(({ found }) => found),
    ...orphans.map(({ address }, at) =>
      accelerator('edgetpu-pcie', `pci ${address}`, noDriver(names.length + at, largePages)),
    ),
  ];
}

function noDriver(number: number, largePages: boolean): string {
  const kernel = largePages ? `, ${SMALL_PAGES}` : '';
  return `its driver is not loaded (no /dev/apex_${number}): apt install gasket-dkms, then reboot${kernel}`;
}

async function readApex(
  reading: Reading,
  library: boolean,
  name: string,
): Promise<{ readonly address: string | null; readonly found: Accelerator }> {
  const { tree } = reading;
  const text = async (file: string) =>
    (await readOptional(tree, `${APEX}/${name}/${file}`))?.trim() ?? null;
  const node = `/dev/${name}`;
  const said = await text('pci_address');
  const address = said !== null && PCI_ADDRESS.test(said) ? said : null;
  const temperature = await text('temp');
  const problem = apexProblem({
    library,
    node,
    present: await tree.exists(node),
    writable: await tree.writable(node),
    status: await text('status'),
    milliCelsius: temperature === null ? null : Number(temperature),
  });
  const device = address === null ? node : `${node} pci ${address}`;
  return { address, found: accelerator('edgetpu-pcie', device, problem) };
}

export interface ApexState extends StickState {
  readonly node: string;
  /** `ALIVE`, `DEAD` or `LAMED`. */
  readonly status: string | null;
  readonly milliCelsius: number | null;
}

/** What keeps a PCIe Edge TPU from being used, with the fix; null when nothing does. */
export function apexProblem(state: ApexState): string | null {
  const { node, status, milliCelsius } = state;
  if (milliCelsius !== null && milliCelsius <= LOST_MILLI_CELSIUS) {
    return `it fell off the PCIe bus (reads ${milliCelsius / 1000} °C): power the machine off and on, check the seat and cooling`;
  }
  if (status === 'DEAD' || status === 'LAMED') {
    return `its driver reports ${status}: power the machine off and on, check the cooling`;
  }
  if (!state.present)
    return `${node} is missing: load the apex driver (modprobe apex) or pass it into the container`;
  if (!state.library) return NO_LIBRARY;
  if (!state.writable) {
    // The rule of the driver says apex, that of our package edgefit.
    return `no permission for ${node}: usermod -aG apex USER, or with the group that "ls -l ${node}" shows, then log in again`;
  }
  return null;
}
