import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Facts } from '../contracts/facts.ts';
import type { Finding } from '../util/check.ts';
import { codeOf } from '../util/errors.ts';
import type { Machine } from './checks.ts';
import { listFolder, readOptional, startReading } from './facts-log.ts';
import type { Tree } from './tree.ts';

const MIB = 2 ** 20;
/** Versions of a model while it is measured; less is enough for small models only. */
const ENOUGH_BYTES = 500 * MIB;
/** With so little memory, a model of some size needs a reserve. */
const SMALL_MEMORY_BYTES = 2 ** 30;
const BLOCK = '/sys/block';
/** From eMMC's extended CSD: each step of the life time is a tenth; 0x0b is beyond its end. */
const WORN_STEPS = 9;
const PRE_EOL = new Map([
  [2, 'four fifths of the spare blocks are used up'],
  [3, 'the spare blocks are nearly used up'],
]);

/** Room on the disk that the agent writes to. Only for the machine itself. */
export async function checkSpace(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfsAbove(folder);
  const free = bavail * bsize;
  const found = `${Math.floor(free / MIB)} MiB free for ${folder}`;
  if (free >= ENOUGH_BYTES) return { ok: true, found };
  const mend = `free some space (${ENOUGH_BYTES / MIB} MiB are enough): sudo apt clean, journalctl --vacuum-size=50M`;
  return { ok: false, found, mend };
}

/** The folder may not be there yet: then what matters is where it would be. */
async function statfsAbove(
  folder: string,
): Promise<{ readonly bavail: number; readonly bsize: number }> {
  try {
    return await statfs(folder);
  } catch (error) {
    const missing = codeOf(error) === 'ENOENT' && dirname(folder) !== folder;
    if (!missing) throw error;
    return statfsAbove(dirname(folder));
  }
}

/** Swap: a reserve on small boards, but not on a card, which it wears out. */
export async function checkSwap({ facts, tree }: Machine): Promise<Finding> {
  const text = await readOptional(tree, '/proc/swaps');
  const areas = (text ?? '')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/)[0] ?? '')
    .filter((path) => path !== '');
  const compressed = areas.filter((path) => path.startsWith('/dev/zram'));
  const others = areas.filter((path) => !path.startsWith('/dev/zram'));
  const card = await rootCard(tree);
  // Files are taken for files on the root; a partition may be on another disk.
  const onCard = (path: string) => !path.startsWith('/dev/') || path.startsWith(`/dev/${card}p`);
  const total = facts.memory.totalBytes;
  const memory = memoryText(facts.memory);
  const names = [...(compressed.length > 0 ? ['zram'] : []), ...others];
  const found = `${memory}, swap: ${names.length === 0 ? 'none' : names.join(', ')}`;
  const zram = 'sudo apt install zram-tools (or systemd-zram-generator)';
  if (card !== null && others.some(onCard)) {
    return {
      ok: false,
      found: `${found}, on a memory card, which it wears out`,
      mend: `swap to compressed memory instead: ${zram}, then sudo dphys-swapfile swapoff`,
    };
  }
  if (names.length > 0 || total === null || total > SMALL_MEMORY_BYTES) return { ok: true, found };
  return { ok: false, found, mend: `add compressed swap as a reserve: ${zram}` };
}

function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

/** `15700 MiB`, or `15700 MiB, at most 512 MiB for this program` in a control group. */
function memoryText({ totalBytes, limitBytes }: Facts['memory']): string {
  const whole = totalBytes === null ? 'memory of unknown size' : mib(totalBytes);
  const limited = limitBytes !== null && limitBytes < (totalBytes ?? Infinity);
  return limited ? `${whole}, at most ${mib(limitBytes)} for this program` : whole;
}

/** The memory card that the root is on, by /proc/mounts: `mmcblk0`; null for eMMC and other disks. */
async function rootCard(tree: Tree): Promise<string | null> {
  const device = (await rootMount(tree))?.device ?? '';
  const [, disk] = /^\/dev\/(mmcblk\d+)p\d+$/.exec(device) ?? [];
  if (disk === undefined) return null;
  const type = await readOptional(tree, `${BLOCK}/${disk}/device/type`);
  return type?.trim() === 'SD' ? disk : null;
}

async function rootMount(
  tree: Tree,
): Promise<{ readonly device: string; readonly options: readonly string[] } | null> {
  const text = (await readOptional(tree, '/proc/mounts')) ?? '';
  const rows = text.split('\n').map((line) => line.split(' '));
  const [device, , , options = ''] = rows.findLast(([, where]) => where === '/') ?? [];
  return device === undefined ? null : { device, options: options.split(',') };
}

/** Wear of cards and eMMC as far as they tell, and whether the root can be written at all. */
export async function checkWear({ facts, tree }: Machine): Promise<Finding> {
  const root = await rootMount(tree);
  if (root?.options.includes('ro') === true && !facts.os.container) {
    return {
      ok: false,
      found:
        'the root is mounted read-only: by an overlay on purpose, or after an error of the disk',
      mend: 'see dmesg; sudo mount -o remount,rw / where it was not meant, else give the agent a folder that can be written',
    };
  }
  const disks = await listFolder(startReading(tree), 'disk', BLOCK, /^mmcblk\d+$/);
  const all = await Promise.all(disks.map((disk) => wearOf(tree, disk)));
  const worn = all.filter(({ ok }) => !ok);
  const found = all.map((one) => one.found).join('; ');
  if (worn.length === 0) return { ok: true, found: found === '' ? 'no card or eMMC' : found };
  return { ok: false, found, mend: 'save what is on it, and replace the card or the module' };
}

async function wearOf(tree: Tree, disk: string): Promise<Finding> {
  const folder = `${BLOCK}/${disk}/device`;
  const [lifeTime, preEol, type] = await Promise.all(
    ['life_time', 'pre_eol_info', 'type'].map((file) => readOptional(tree, `${folder}/${file}`)),
  );
  const steps = [...(lifeTime ?? '').matchAll(/0x([0-9a-f]{2})/gi)].map(([, hex = '']) =>
    Number.parseInt(hex, 16),
  );
  const most = Math.max(0, ...steps);
  const warning = PRE_EOL.get(Number.parseInt(preEol ?? '', 16));
  // 0 is "not defined": what SD cards would say, if they had these files.
  if (most === 0 && warning === undefined) {
    return { ok: true, found: `${disk} (${type?.trim() ?? 'card'}) does not tell its wear` };
  }
  const used =
    most > 10 ? 'all of its life time used' : `at most ${most * 10}% of its life time used`;
  const found = `${disk}: ${used}${warning === undefined ? '' : `, ${warning}`}`;
  return { ok: most < WORN_STEPS && warning === undefined, found };
}
