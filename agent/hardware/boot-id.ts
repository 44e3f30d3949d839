import { readOptional } from './facts-log.ts';
import { openTree } from './tree.ts';

/** What Linux calls this boot: a UUID that changes with every boot; null where it is not told. */
export async function readBootId(root?: string): Promise<string | null> {
  const text = await readOptional(await openTree(root), '/proc/sys/kernel/random/boot_id');
  const id = text?.trim() ?? '';
  return /^[0-9a-f-]{36}$/.test(id) ? id : null;
}
