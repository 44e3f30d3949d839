import { createHmac } from 'node:crypto';
import { HardwareError } from './error.ts';
import { readOptional } from './facts-log.ts';
import { openTree, type Tree } from './tree.ts';

/** Never change it: every device would get a new name. */
const APPLICATION = 'edgefit device id 1';
const HEX_DIGITS = 12;

/**
 * `edgefit-` and 12 hex digits that stay the same on this machine. They are a keyed hash of the
 * machine id over a string of ours (as systemd's application-specific ids are), so they neither
 * reveal it nor match another program's. Raises a HardwareError when the machine has no identity.
 */
export async function defaultDeviceId(root?: string): Promise<string> {
  const tree = await openTree(root);
  const secret =
    (await machineId(tree)) ?? (await serialNumber(tree)) ?? (await hardwareAddress(tree));
  if (secret === null) {
    const fix = 'run systemd-machine-id-setup, or name it with --device-id ID';
    throw new HardwareError(
      'NO_MACHINE_ID',
      `this machine has no machine id, serial number or network card: ${fix}`,
      { kind: 'failure' },
    );
  }
  const hash = createHmac('sha256', secret).update(APPLICATION).digest('hex');
  return `edgefit-${hash.slice(0, HEX_DIGITS)}`;
}

/** 32 hex digits; `uninitialized` and zeros are what images hold before their first boot. */
async function machineId(tree: Tree): Promise<string | null> {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    // oxlint-disable-next-line no-await-in-loop -- the second is only a fallback
    const id = (await readOptional(tree, path))?.trim() ?? '';
    if (/^[0-9a-f]{32}$/.test(id) && !/^0+$/.test(id)) return id;
  }
  return null;
}

async function serialNumber(tree: Tree): Promise<string | null> {
  const text = await readOptional(tree, '/proc/device-tree/serial-number');
  const serial = text?.replace(/\0+$/, '').trim() ?? '';
  return /^[\x21-\x7e]{4,64}$/.test(serial) && !/^0+$/.test(serial) ? serial : null;
}

/** The first burnt-in address; addresses made up by software (bridges, containers) change. */
async function hardwareAddress(tree: Tree): Promise<string | null> {
  const folder = '/sys/class/net';
  const cards = await namesIn(tree, folder);
  for (const card of cards.filter((name) => name !== 'lo')) {
    // oxlint-disable-next-line no-await-in-loop -- the first one wins
    const address = (await readOptional(tree, `${folder}/${card}/address`))?.trim() ?? '';
    if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address) && isBurntIn(address)) return address;
  }
  return null;
}

function isBurntIn(address: string): boolean {
  const locallyAdministered = (Number.parseInt(address.slice(0, 2), 16) & 2) !== 0;
  return !locallyAdministered && address !== '00:00:00:00:00:00';
}

async function namesIn(tree: Tree, folder: string): Promise<readonly string[]> {
  try {
    return await tree.list(folder);
  } catch {
    // No network at all, or a folder that we may not read: no address either way.
    return [];
  }
}
