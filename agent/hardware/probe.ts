import { factsSchema, type DeviceFacts, type Facts } from '../contracts/facts.ts';
import type { HardwareProfile } from '../contracts/profile.ts';
import { readBoard } from './board.ts';
import { readPci, readUsb } from './buses.ts';
import { readCpu } from './cpu.ts';
import { readEdgeTpus } from './edgetpu.ts';
import { startReading, type Reading } from './facts-log.ts';
import { readHailos } from './hailo.ts';
import { readJetson } from './jetson.ts';
import { readMemory } from './memory.ts';
import { noteOtherNpus } from './npu.ts';
import { readNvidia } from './nvidia.ts';
import { readOs } from './os.ts';
import { boardBy, knownProfiles, matchProfile, runtimesFor } from './profiles.ts';
import { readPowerModes } from './power-mode.ts';
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
  return (await probeMachine(options)).facts;
}

/** The same, with the whole profile that was matched. */
export async function probeMachine(
  options: ProbeOptions = {},
): Promise<{ readonly facts: Facts; readonly profile: HardwareProfile }> {
  const [device, profiles] = await Promise.all([readDevice(options), knownProfiles()]);
  const profile = matchProfile(device, profiles);
  const board = boardBy(profile, device);
  const facts = factsSchema.parse({
    schema: 'edgefit/facts/1',
    ...device,
    board,
    profile: {
      id: profile.id,
      precisions: profile.precisions,
      runtimes: runtimesFor(profile, device.cpu.userland ?? device.cpu.arch),
    },
  });
  return { facts, profile };
}

/** What a machine is, without a profile. */
export async function readDevice(options: ProbeOptions = {}): Promise<DeviceFacts> {
  const tree = await openTree(options.root);
  const reading = startReading(tree);
  if (!tree.live) return withNotes(await readAll(reading), reading);
  // Only for the machine itself: this module asks the operating system, not the tree.
  const { fillFromSystem, processArch } = await import('./live.ts');
  const facts = await readAll(reading, processArch());
  return withNotes(await fillFromSystem(facts, reading), reading);
}

type Read = Omit<DeviceFacts, 'sources' | 'unknown'>;

/** @param programs the architecture of our own process, which loads the libraries */
async function readAll(reading: Reading, programs?: string): Promise<Read> {
  const cpu = await readCpu(reading, programs);
  const userland = cpu.userland ?? cpu.arch;
  const board = await readBoard(reading, cpu.arch);
  const [pci, usb] = [await readPci(reading), await readUsb(reading)];
  const modes = await readPowerModes(reading);
  const jetson = await readJetson(reading, board, modes);
  await noteOtherNpus(reading, board.compatible, pci);
  return {
    board,
    cpu,
    memory: await readMemory(reading),
    accelerators: [
      ...(await readEdgeTpus(reading, userland, pci, usb)),
      ...(await readHailos(reading, userland, pci)),
      ...(await readNvidia(reading, board)),
    ],
    thermal: await readThermal(reading),
    throttling: await readThrottling(reading),
    ...(await readPower(reading, modes)),
    os: await readOs(reading),
    ...(jetson === undefined ? {} : { jetson }),
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
