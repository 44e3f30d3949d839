// A board that gets hot while a real child process runs a real model on it: its files change as those
// of a Raspberry Pi with a power monitor would.
import { resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { conditionsOf, withMachine } from '../../../agent/fit/measure/machine.ts';
import { measureAll, type Measurements } from '../../../agent/fit/measure/measure.ts';
import type { Measurement } from '../../../agent/fit/measure/running.ts';
import { withScratch } from '../../../agent/fit/scratch.ts';
import type { Candidate, ProgressEvent } from '../../../agent/fit/types.ts';
import { onnxRuntime } from '../../../agent/runtime/onnxruntime.ts';
import { zeroFeeds } from '../../support/feeds.ts';
import { makeSysroot, putFile, raspberryPi4, removeSysroots } from '../../support/sysroot.ts';

afterAll(removeSysroots);

const MODEL = resolve(import.meta.dirname, '../../../demo/shapes.onnx');
const LIMIT_MS = 60_000;
const ZONE = '/sys/class/thermal/thermal_zone0/temp';
const BITS = '/sys/devices/platform/soc/soc:firmware/get_throttled';
const HWMON = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1';
/** The clock is for three turns of 200 ms at least. */
const MIN_TIME_SECONDS = 1;

function board(): string {
  return makeSysroot({
    ...raspberryPi4(),
    [`${HWMON}/in1_label`]: 'VDD_IN\n',
    [`${HWMON}/in1_input`]: '5000\n',
    [`${HWMON}/curr1_input`]: '200\n',
  });
}

function heat(root: string, celsius: number, bits: string): void {
  putFile(root, ZONE, `${celsius * 1000}\n`);
  putFile(root, BITS, `${bits}\n`);
}

const candidate = (threads: number): Candidate => ({
  id: `onnxruntime/fp32/t${threads}`,
  precision: 'fp32',
  method: 'none',
  runtime: 'onnxruntime',
  threads,
  scheme: { method: 'none' } as Candidate['scheme'],
  why: 'test',
});

interface Ran {
  readonly measured: Measurements;
  readonly conditions: ReturnType<typeof conditionsOf>;
  readonly phases: readonly string[];
  readonly row: (threads: number) => Measurement;
}

async function measure(
  root: string,
  coolDownSeconds: number | null,
  onProgress: (event: ProgressEvent) => void,
  threads: readonly number[] = [1],
): Promise<Ran> {
  const phases: string[] = [];
  const progress = (event: ProgressEvent) => {
    if (phases.at(-1) !== event.phase) phases.push(event.phase);
    onProgress(event);
  };
  const feeds = await zeroFeeds(onnxRuntime, MODEL);
  const hooks = { signal: new AbortController().signal, progress };
  const watched = { root, coolDownSeconds, startCelsius: null, power: true };
  const { measured, conditions } = await withScratch((scratch) =>
    withMachine(watched, hooks, async (machine) => ({
      measured: await measureAll(
        threads.map((count) => ({ candidate: candidate(count), path: MODEL, bytes: 400_000 })),
        { feeds, minTimeSeconds: MIN_TIME_SECONDS, memoryBytes: null, machine, hooks, scratch },
      ),
      conditions: conditionsOf(machine),
    })),
  );
  const row = (count: number) => {
    const found = measured.rows.get(candidate(count).id);
    if (found === undefined || typeof found === 'string') throw new Error(`no row: ${found}`);
    return found;
  };
  return { measured, conditions, phases, row };
}

const isTurn = (event: ProgressEvent, done: number) =>
  event.phase.startsWith('measuring') && event.done === done;

describe('a board that gets hot under load', () => {
  test(
    'the turn is taken again once the board is cool; the report says so',
    async () => {
      const root = board();
      const ran = await measure(root, 30, (event) => {
        if (isTurn(event, 2)) heat(root, 84.5, '80008');
        if (event.phase.startsWith('throttled')) heat(root, 52, '80000');
      });
      const { throttled, heat: seen, latencyMs } = ran.row(1);
      expect(throttled).toMatchObject({
        reasons: ['soft-temperature-limit'],
        turns: 0,
        repeatedTurns: 1,
      });
      expect(throttled?.waitedSeconds).toBeGreaterThanOrEqual(0.9);
      expect(throttled?.waitedSeconds).toBeLessThan(10);
      // What was thrown away left no trace in the figures.
      expect(seen).toMatchObject({ beforeCelsius: 48.312, maxCelsius: 52, zone: 'cpu-thermal' });
      expect(latencyMs.count).toBeGreaterThanOrEqual(25);
      expect(ran.phases).toContain(
        'throttled (soft-temperature-limit): cooling down before onnxruntime/fp32/t1 goes on',
      );
      expect(ran.measured.warnings.join()).toContain('taken again after cooling');
      expect(ran.conditions).toMatchObject({
        governor: 'ondemand',
        powerSource: 'INA3221 VDD_IN',
        coolDownSeconds: 30,
      });
    },
    LIMIT_MS,
  );

  test(
    'a board that stays hot is waited for once; then candidates are marked',
    async () => {
      const root = board();
      const ran = await measure(
        root,
        0.5,
        (event) => {
          if (isTurn(event, 4)) heat(root, 84.5, '80008');
        },
        [1, 2],
      );
      // Turns 0 to 3 were cool; 4 to 9 were not: three of each candidate.
      expect(ran.row(1).throttled).toMatchObject({ turns: 3, repeatedTurns: 1 });
      expect(ran.row(2).throttled).toMatchObject({ turns: 3, repeatedTurns: 0 });
      expect(ran.conditions.waitedSeconds).toBeGreaterThanOrEqual(0.5);
      expect(ran.conditions.waitedSeconds).toBeLessThan(3);
      expect(ran.measured.warnings.join()).toContain('figures are too slow');
    },
    LIMIT_MS,
  );

  test(
    'without waiting: marked, with the highest temperature',
    async () => {
      const root = board();
      const ran = await measure(root, null, (event) => {
        if (isTurn(event, 1)) heat(root, 84.5, '50005');
        if (isTurn(event, 2)) heat(root, 60, '50000');
      });
      expect(ran.row(1).throttled).toEqual({
        reasons: ['under-voltage', 'throttled'],
        turns: 1,
        repeatedTurns: 0,
        waitedSeconds: 0,
      });
      expect(ran.row(1).heat).toMatchObject({ maxCelsius: 84.5, afterCelsius: 60 });
      expect(ran.measured.warnings.join()).toContain('the power supply is too weak');
    },
    LIMIT_MS,
  );
});

test(
  'a clock that falls under load: marked, whatever the governor is',
  async () => {
    const clock = '/sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq';
    const root = board();
    putFile(root, '/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver', 'cpufreq-dt\n');
    const ran = await measure(root, null, (event) => {
      if (isTurn(event, 0)) putFile(root, clock, '1800000\n');
      if (isTurn(event, 3)) putFile(root, clock, '1200000\n');
    });
    expect(ran.row(1).throttled).toMatchObject({ reasons: ['clock dropped'], turns: 2 });
    // Three turns at 1.8 GHz and two at 1.2, with about as many looks at each.
    expect(ran.row(1).clocks).toMatchObject({ cpuMinHz: 1.2e9 });
  },
  LIMIT_MS,
);

test(
  'power belongs to whom it was drawn by, and idle power stands apart',
  async () => {
    const root = board();
    const ran = await measure(
      root,
      null,
      (event) => {
        // Candidates take turns in both orders: 0, 3, 4, 7 and 8 are the first one's.
        const done = event.phase.startsWith('measuring') ? (event.done ?? 0) : -1;
        if (done < 0) return;
        const first = [0, 3, 4, 7, 8].includes(done);
        putFile(root, `${HWMON}/curr1_input`, first ? '600\n' : '1000\n');
      },
      [1, 2],
    );
    // 5 V times 0.6, 1.0 and, before any model, 0.2 A.
    expect(ran.row(1).power?.meanMilliwatts).toBeCloseTo(3000, 6);
    expect(ran.row(2).power?.meanMilliwatts).toBeCloseTo(5000, 6);
    expect(ran.row(1).power).toMatchObject({ source: 'INA3221 VDD_IN' });
    expect(ran.row(1).power?.idleMilliwatts).toBeCloseTo(1000, 6);
    const { latencyMs, energyPerInferenceMillijoules, ownOverheadMs } = ran.row(1);
    // 3 W over the mean time of an inference; only turns with a reading count, so about.
    const expected = 3 * (latencyMs.mean + ownOverheadMs);
    expect(energyPerInferenceMillijoules).toBeGreaterThan(expected * 0.5);
    expect(energyPerInferenceMillijoules).toBeLessThan(expected * 2);
  },
  LIMIT_MS,
);
