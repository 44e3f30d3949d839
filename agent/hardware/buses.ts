import { listFolder, readOptional, type Reading } from './facts-log.ts';

export interface PciDevice {
  /** E.g. `0001:01:00.0`. */
  readonly address: string;
  readonly vendor: number;
  readonly device: number;
}

export interface UsbDevice {
  /** E.g. `2-1`: bus and ports. */
  readonly name: string;
  readonly vendor: number;
  readonly product: number;
  /** Mb/s: 480 is USB 2, 5000 USB 3. */
  readonly speed: number | null;
  /** The node that user space opens, e.g. `/dev/bus/usb/002/003`. */
  readonly node: string | null;
}

const PCI = '/sys/bus/pci/devices';
const USB = '/sys/bus/usb/devices';
/** Domain, bus, device and function. */
export const PCI_ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;
const FACT = 'accelerators';

/** PCI devices that say who made them. */
export async function readPci(reading: Reading): Promise<readonly PciDevice[]> {
  const names = await listFolder(reading, FACT, PCI, PCI_ADDRESS);
  const devices = names.map(async (address) => {
    const vendor = await readNumber(reading, `${PCI}/${address}/vendor`, 16);
    const device = await readNumber(reading, `${PCI}/${address}/device`, 16);
    return vendor === null || device === null ? null : { address, vendor, device };
  });
  return (await Promise.all(devices)).filter((device) => device !== null);
}

/** USB devices; the interfaces among them (`1-1:1.0`) have no ids. */
export async function readUsb(reading: Reading): Promise<readonly UsbDevice[]> {
  const names = await listFolder(reading, FACT, USB, /^[\w.-]+$/);
  const devices = names.map(async (name) => {
    const folder = `${USB}/${name}`;
    const vendor = await readNumber(reading, `${folder}/idVendor`, 16);
    const product = await readNumber(reading, `${folder}/idProduct`, 16);
    if (vendor === null || product === null) return null;
    const speed = await readNumber(reading, `${folder}/speed`, 10);
    return { name, vendor, product, speed, node: await nodeOf(reading, folder) };
  });
  return (await Promise.all(devices)).filter((device) => device !== null);
}

async function nodeOf(reading: Reading, folder: string): Promise<string | null> {
  const bus = await readNumber(reading, `${folder}/busnum`, 10);
  const device = await readNumber(reading, `${folder}/devnum`, 10);
  if (bus === null || device === null) return null;
  return `/dev/bus/usb/${threeDigits(bus)}/${threeDigits(device)}`;
}

function threeDigits(value: number): string {
  return String(value).padStart(3, '0');
}

/** Ids decide what a device is; one without readable ids is nothing that we know. */
async function readNumber(reading: Reading, path: string, base: 10 | 16): Promise<number | null> {
  const text = (await readOptional(reading.tree, path))?.trim() ?? '';
  const form = base === 16 ? /^(0x)?[0-9a-f]{1,8}$/i : /^\d{1,6}$/;
  return form.test(text) ? Number.parseInt(text, base) : null;
}
