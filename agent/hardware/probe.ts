import { factsSchema, type DeviceFacts, type Facts } from '../contracts/facts.ts';
import { readBoard } from './board.ts';
import { readPci, readUsb } from './buses.ts';
import { readCpu } from './cpu.ts';
import { readEdgeTpus } from './edgetpu.ts';
import { startReading, type Reading } from './facts-log.ts';
import { readHailos } from './hailo.ts';
import { readMemory } from './memory.ts';
import { readNvidia } from './nvidia.ts';
import { readOs } from './os.ts';
import { loadProfiles, matchProfile, runtimesFor } from './profiles.ts';
import { readPower } from './power.ts';
import { readThermal } from './thermal.ts';
import { readThrottling } from './throttling.ts';
import { openTree } from './tree.ts';

export interface ProbeOptions {
  /** Read a recorded file tree instead of this machine; nothing of this machine is then read. */
  readonly root?: string | undefined;
}

/**
 * What a machine is, as far as its files tell, with the profile that fits it. A fact that cannot be
 * read is null and listed in `unknown`. Raises a HardwareError for a bad root or a broken profile.
 */
export async function probe(options: ProbeOptions = {}): Promise<Facts> {
  const facts = await readDevice(options);
  const profile = matchProfile(facts, await loadProfiles());
  return factsSchema.parse({
    schema: 'edgefit/facts/1',
    ...facts,
    profile: {
      id: profile.id,
      precisions: profile.precisions,
      runtimes: runtimesFor(profile, facts.cpu.arch),
    },
  });
}

/** The same without a profile. */
export async function readDevice(options: ProbeOptions = {}): Promise<DeviceFacts> {
  const tree = await openTree(options.root);
  const reading = startReading(tree);
  const facts = await readAll(reading);
  if (!tree.live) return withNotes(facts, reading);
  // Only for the machine itself: this module asks the operating system, not the tree.
  const { fillFromSystem } = await import('./live.ts');
  return withNotes(await fillFromSystem(facts, reading), reading);
}

type Read = Omit<DeviceFacts, 'sources' | 'unknown'>;

async function readAll(reading: Reading): Promise<Read> {
  const cpu = await readCpu(reading);
  const board = await readBoard(reading, cpu.arch);
  const [pci, usb] = [await readPci(reading), await readUsb(reading)];
  return {
    board,
    cpu,
    memory: await readMemory(reading),
    accelerators: [
      ...(await readEdgeTpus(reading, cpu.arch, pci, usb)),
      ...(await readHailos(reading, cpu.arch, pci)),
      ...(await readNvidia(reading, board)),
    ],
    thermal: await readThermal(reading),
    throttling: await readThrottling(reading),
    ...(await readPower(reading)),
    os: await readOs(reading),
  };
}

/** Adds where each fact came from, in an order that does not depend on which file was faster. */
function withNotes(facts: Read, reading: Reading): DeviceFacts {
  return {
    ...facts,
    sources: Object.fromEntries([...reading.sources].toSorted(byName)),
    unknown: [...reading.unknown].toSorted(byName).map(([fact, why]) => ({ fact, why })),
  };
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a.localeCompare(b, 'en');
}
