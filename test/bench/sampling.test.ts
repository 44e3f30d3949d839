import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { sampleBeside } from '../../agent/bench/sampling.ts';
import { turnFigures } from '../../agent/bench/turns.ts';
import { openHeat } from '../../agent/hardware/heat.ts';
import { openPowerMeter } from '../../agent/hardware/power-meter.ts';
import { makeSysroot, putFile, raspberryPi4, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

const ZONE = '/sys/class/thermal/thermal_zone0/temp';
const HWMON = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1';

function board() {
  return makeSysroot({
    ...raspberryPi4(),
    [`${HWMON}/in1_label`]: 'VDD_IN\n',
    [`${HWMON}/in1_input`]: '5000\n',
    [`${HWMON}/curr1_input`]: '400\n',
  });
}

async function instrumentsOf(root: string) {
  return { heat: await openHeat(root), meter: (await openPowerMeter({ root })).meter };
}

describe('sampling beside work', () => {
  test('at fixed times from its start, before it and after it', async () => {
    const root = board();
    const work = async () => {
      await sleep(50);
      putFile(root, ZONE, '71000\n');
      await sleep(200);
      return 'done';
    };
    const seen = await sampleBeside(await instrumentsOf(root), work, { everyMs: 60 });
    expect(seen.result).toBe('done');
    expect(seen.before).toMatchObject({ celsius: 48.312, power: null });
    expect(seen.after).toMatchObject({ celsius: 71, power: null });
    // At 60, 120, 180 and 240 ms; a busy machine misses some.
    expect(seen.during.length).toBeGreaterThanOrEqual(2);
    expect(seen.during.length).toBeLessThanOrEqual(4);
    for (const { atMs, power } of seen.during) {
      expect(atMs).toBeGreaterThanOrEqual(seen.startMs + 55);
      // 5 V times 0.4 A.
      expect(power).toMatchObject({ milliwatts: 2000 });
    }
  });

  test('work that fails fails, and nothing goes on', async () => {
    const failing = sampleBeside(await instrumentsOf(board()), async () => {
      await sleep(30);
      throw new Error('the model broke');
    });
    await expect(failing).rejects.toThrow('the model broke');
  });
});

describe('figures of turns', () => {
  test('the hottest moment, mean clock, power and energy per inference', async () => {
    const root = board();
    const round = { latenciesMs: Float64Array.from([40, 40, 40]), ownMs: 30 };
    const turn = async () => {
      await sleep(200);
      return round;
    };
    const sampled = await sampleBeside(await instrumentsOf(root), turn, { everyMs: 50 });
    const turns = [{ sampled, reasons: [] }];
    const figures = turnFigures(turns, sampled.before, { source: 'test', idleMilliwatts: 900 });
    expect(figures).toMatchObject({
      heat: {
        beforeCelsius: 48.312,
        afterCelsius: 48.312,
        maxCelsius: 48.312,
        zone: 'cpu-thermal',
      },
      clocks: { cpuMeanHz: 900_000_000, cpuMinHz: 900_000_000, gpuMeanHz: null },
      power: { meanMilliwatts: expect.closeTo(2000, 6), idleMilliwatts: 900, source: 'test' },
    });
    // 2 W over 150 ms by 3 inferences.
    expect(figures.energyPerInferenceMillijoules).toBeCloseTo(100, 6);
  });

  test('what is not known is left out', async () => {
    const sampled = await sampleBeside(await instrumentsOf(makeSysroot({})), () =>
      Promise.resolve({ latenciesMs: Float64Array.from([1]), ownMs: 0 }),
    );
    expect(
      turnFigures([{ sampled, reasons: [] }], sampled.before, {
        source: null,
        idleMilliwatts: null,
      }),
    ).toEqual({
      heat: { beforeCelsius: null, afterCelsius: null, beforeHz: null, afterHz: null },
    });
  });
});
