import type { Facts } from '../contracts/facts.ts';
import { foundFact, type Reading } from './facts-log.ts';
import { findGpu, readGpu } from './gpu.ts';
import { findIna3221, readRails } from './ina3221.ts';
import { readClocksLocked } from './jetson-clocks.ts';
import type { PowerModes } from './power-mode.ts';
import { totalPower } from './rails.ts';
import { findRapl } from './rapl.ts';

type PowerFacts = Pick<Facts, 'power' | 'gpu'>;

/** Power mode, rails and GPU; left out where a machine has nothing of the kind. */
export async function readPower(reading: Reading, modes: PowerModes): Promise<PowerFacts> {
  const files = await findGpu(reading);
  const rails = await readRails(reading, await findIna3221(reading));
  const counters = rails.length > 0 ? [] : await findRapl(reading);
  // Why a Jetson's mode is not known stands under its own facts; other machines have none.
  if (modes.source !== null) foundFact(reading, 'power.mode', modes.source);
  const mode = modes.current;
  const power = {
    mode,
    clocksLocked: mode === null ? null : await readClocksLocked(reading, files),
    totalMilliwatts: totalPower(rails)?.milliwatts ?? null,
    rails: [
      ...rails.map(({ name, milliwatts }) => ({ name, milliwatts })),
      // Counters of energy: what they tell needs two readings.
      ...counters.map(({ name }) => ({ name, milliwatts: null })),
    ],
  };
  return {
    ...(mode === null && power.rails.length === 0 ? {} : { power }),
    ...(files === null ? {} : { gpu: await readGpu(reading, files) }),
  };
}
