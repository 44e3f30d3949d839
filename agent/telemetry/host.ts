import { statfs } from 'node:fs/promises';
import { busyShare, readAllCpuTimes, type CpuTimes } from '../hardware/cpu-times.ts';
import { startReading, type Reading } from '../hardware/facts-log.ts';
import { openHeat } from '../hardware/heat.ts';
import { readMemory } from '../hardware/memory.ts';
import { readNetwork } from '../hardware/network.ts';
import { openFilePower } from '../hardware/power-meter.ts';
import type { PowerMeter } from '../hardware/power-sources.ts';
import { readPressure } from '../hardware/pressure.ts';
import { quickTree } from '../hardware/quick-tree.ts';
import {
  findSensors,
  hottestZone,
  isNamed,
  readTemperatures,
  type Sensor,
} from '../hardware/thermal.ts';
import { openTree } from '../hardware/tree.ts';
import type { Values } from './changes.ts';
import { EnergyCounter } from './energy.ts';

export interface HostSampler {
  /** What the machine does now. Never rejects: what cannot be read is null. */
  read(): Promise<Values>;
}

export interface HostOptions {
  /** The state folder: whose disk is watched. */
  readonly state: string;
  /** A recorded machine. */
  readonly root?: string | undefined;
}

/** Zones of accelerators, by how they begin: GPUs, Edge TPUs, NPUs, the vision engines of Jetsons. */
const ACCELERATORS: readonly string[] = ['gpu', 'apex', 'npu', 'cv0', 'cv1', 'cv2', 'hailo'];

const isAccelerator = ({ zone }: Sensor): boolean => isNamed(zone, ACCELERATORS);

/** Looks for the sensors once; a sample is then a few dozen small files. */
export async function openHostSampler({ state, root }: HostOptions): Promise<HostSampler> {
  const reading = startReading(quickTree(await openTree(root)));
  const heat = await openHeat(root);
  const sensors = await findSensors(reading);
  const accelerators = sensors.filter(isAccelerator);
  const processors = sensors.filter((sensor) => !isAccelerator(sensor));
  const meter = await openFilePower(reading);
  const energy = new EnergyCounter();
  let times: CpuTimes | null = null;
  let events: number | null = null;

  const cpu = async (): Promise<Values> => {
    const before = times;
    times = await readAllCpuTimes(reading.tree).catch(() => null);
    const isKnown = before !== null && times !== null && times.total > before.total;
    return { cpuRatio: isKnown ? busyShare(before, times ?? before) : null };
  };
  const machine = async (): Promise<Values> => {
    const { celsius, gpuLoadShare, throttling, tripped, cooling } = await heat.read();
    const slowedDown = (throttling?.events ?? 0) > (events ?? throttling?.events ?? 0);
    events = throttling?.events ?? events;
    const isSlow =
      slowedDown || (throttling?.now.length ?? 0) > 0 || tripped.length > 0 || cooling.length > 0;
    const own = hottestZone(await readTemperatures(reading, processors));
    return {
      // A firmware that is asked has no zones.
      socCelsius: own?.celsius ?? (processors.length === 0 ? celsius : null),
      gpuRatio: gpuLoadShare,
      throttled: throttling === null && sensors.length === 0 ? null : Number(isSlow),
    };
  };
  const parts = [
    cpu,
    machine,
    () => memoryNow(reading),
    () => pressureNow(reading),
    () => acceleratorNow(reading, accelerators),
    () => powerNow(meter, energy),
    () => diskNow(state),
    () => networkNow(reading),
  ];
  return {
    // One reader that fails leaves the others alone; what it would have told is not known this time.
    read: async () =>
      Object.fromEntries(
        (await Promise.all(parts.map((part) => part().catch((): Values => ({}))))).flatMap(
          (values) => Object.entries(values),
        ),
      ),
  };
}

async function memoryNow(reading: Reading): Promise<Values> {
  const { availableBytes, totalBytes } = await readMemory(reading);
  return { memoryAvailableBytes: availableBytes, memoryTotalBytes: totalBytes };
}

async function pressureNow(reading: Reading): Promise<Values> {
  const { cpu, memory, io } = await readPressure(reading);
  return { cpuPressureRatio: cpu, memoryPressureRatio: memory, ioPressureRatio: io };
}

async function acceleratorNow(reading: Reading, sensors: readonly Sensor[]): Promise<Values> {
  const known = (await readTemperatures(reading, sensors)).flatMap(({ celsius }) => celsius ?? []);
  return { acceleratorCelsius: known.length === 0 ? null : Math.max(...known) };
}

async function powerNow(meter: PowerMeter | null, energy: EnergyCounter): Promise<Values> {
  const { watts, joules } = energy.add((await meter?.read()) ?? null);
  return { powerWatts: watts, energyJoules: joules };
}

async function diskNow(state: string): Promise<Values> {
  const { bavail, blocks, bsize } = await statfs(state);
  return { diskFreeBytes: bavail * bsize, diskTotalBytes: blocks * bsize };
}

async function networkNow(reading: Reading): Promise<Values> {
  const bytes = await readNetwork(reading);
  return {
    networkReceivedBytes: bytes?.received ?? null,
    networkSentBytes: bytes?.sent ?? null,
  };
}
