// What only the running system can tell. Never imported for a recorded tree.
import type { DeviceFacts } from '../contracts/facts.ts';
import { foundFact, type Reading } from './facts-log.ts';
import { genericBoard } from './board-ids.ts';

/** The architecture that this program was built for: on a 64-bit kernel it may be a 32-bit one. */
export function processArch(): string {
  return process.arch;
}

const SOURCE = 'systeminformation';

type Read = Omit<DeviceFacts, 'sources' | 'unknown'>;

/**
 * Fills what our readers found no file for, e.g. where /proc is hidden or cpuinfo names no model.
 * Costs nothing where the basic facts are known: systeminformation is slow and is asked only for
 * what is missing.
 */
export async function fillFromSystem(facts: Read, reading: Reading): Promise<Read> {
  const { cpu, memory } = facts;
  const missing =
    cpu.arch === 'unknown' ||
    cpu.model === null ||
    cpu.coresOnline === null ||
    memory.totalBytes === null;
  if (!missing) return facts;
  const { default: system } = await import('systeminformation');
  const [processor, ram, release] = await Promise.all([
    system.cpu(),
    system.mem(),
    system.osInfo(),
  ]);
  const fill = <T>(fact: string, known: T | null, other: T): T => {
    if (known !== null) return known;
    foundFact(reading, fact, SOURCE);
    return other;
  };
  const arch = fill('cpu.arch', cpu.arch === 'unknown' ? null : cpu.arch, process.arch);
  return {
    ...facts,
    board: facts.board.id === 'generic' ? { ...facts.board, id: genericBoard(arch) } : facts.board,
    cpu: {
      ...cpu,
      arch,
      vendor: fill('cpu.vendor', cpu.vendor, processor.manufacturer),
      model: fill('cpu.model', cpu.model, processor.brand),
      coresOnline: fill('cpu.coresOnline', cpu.coresOnline, processor.cores),
      coresUsable: fill('cpu.coresUsable', cpu.coresUsable, processor.cores),
    },
    memory: {
      ...memory,
      totalBytes: fill('memory.totalBytes', memory.totalBytes, ram.total),
      availableBytes: fill('memory.availableBytes', memory.availableBytes, ram.available),
    },
    os: {
      ...facts.os,
      name: fill('os.name', facts.os.name, `${release.distro} ${release.release}`),
      kernel: fill('os.kernel', facts.os.kernel, release.kernel),
    },
  };
}
