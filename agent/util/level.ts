import { rename } from 'node:fs/promises';
import type { ClassicLevel } from 'classic-level';
import { codeOf, messageOf } from './errors.ts';

export interface MendingOptions<Database> {
  readonly folder: string;
  /** Opens the database in the folder. */
  readonly open: (Level: typeof ClassicLevel) => Promise<Database>;
  /** What to throw when another process has it open. */
  readonly inUse: (cause: unknown) => Error;
  readonly warn: (message: string) => void;
}

/**
 * Opens a LevelDB whose content can be done without: mends it once when it is damaged, and sets it
 * aside and begins anew when that does not help. Loads the database library.
 */
export async function openMending<Database>(options: MendingOptions<Database>): Promise<Database> {
  const { folder, warn } = options;
  const { ClassicLevel: Level } = await import('classic-level');
  const open = () => options.open(Level);
  try {
    return await open();
  } catch (error) {
    const cause = levelCause(error);
    if (codeOf(cause) === 'LEVEL_LOCKED') throw options.inUse(error);
    warn(`${folder} is damaged and is being repaired: ${messageOf(cause)}`);
  }
  try {
    await Level.repair(folder);
    return await open();
  } catch (error) {
    const aside = `${folder}.corrupt-${process.hrtime.bigint()}`;
    warn(`${folder} cannot be repaired and is set aside as ${aside}: ${messageOf(error)}`);
    await rename(folder, aside);
    return open();
  }
}

/** The library says only that it did not open; what went wrong is the cause of that. */
export function levelCause(error: unknown): unknown {
  const cause =
    typeof error === 'object' && error !== null && 'cause' in error ? error.cause : null;
  return cause ?? error;
}
