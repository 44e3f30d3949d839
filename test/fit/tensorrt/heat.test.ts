// An Orin that warms up while trtexec runs: its files change as those of the board would.
import { afterAll, afterEach, expect, test } from '@jest/globals';
import type { ProgressEvent } from '../../../agent/fit/types.ts';
import { ORIN_RAIL, ORIN_ZONE, orinNano, orinUnderLoad } from '../../support/orin.ts';
import { makeSysroot, putFile, removeSysroots } from '../../support/sysroot.ts';
import { openBench, rowOf, type Bench } from './support.ts';

const LIMIT_MS = 60_000;
/** Long enough for a look at any time of starting: one is taken every 250 ms. */
const SETTINGS = { lastsSeconds: 0.4 };

let bench: Bench;
afterEach(() => bench.remove());
afterAll(removeSysroots);

const board = (files = {}) => makeSysroot({ ...orinNano(), ...orinUnderLoad(), ...files });
const milliamperes = (root: string, value: number) =>
  putFile(root, `${ORIN_RAIL}/curr1_input`, `${value}\n`);
const celsius = (root: string, value: number) =>
  putFile(root, `${ORIN_ZONE}/temp`, `${value * 1000}\n`);
const isTurn = ({ phase, done }: ProgressEvent, at: number) =>
  phase === 'measuring engines in turn' && done === at;

test(
  'energy and heat of engines, and under which conditions',
  async () => {
    const root = board();
    bench = await openBench(root, SETTINGS);
    const progress = (event: ProgressEvent) => {
      // Turns 0 and 3 are of FP32, 1 and 2 of FP16: 10 and 15 W.
      if (isTurn(event, 0) || isTurn(event, 3)) milliamperes(root, 2000);
      if (isTurn(event, 1)) {
        milliamperes(root, 3000);
        celsius(root, 61.5);
      }
    };
    const report = await bench.run({ precisions: ['fp16'] }, { progress });
    const [float, half] = ['fp32', 'fp16'].map((name) => rowOf(report, `tensorrt/${name}/t1`));
    expect(float).toMatchObject({
      heat: { beforeCelsius: 45, maxCelsius: 61.5, zone: 'gpu-thermal' },
      clocks: { gpuMeanHz: expect.closeTo(1.3005e9, -3), gpuLoadShare: expect.closeTo(0.95, 9) },
      power: { source: 'INA3221 VDD_GPU_SOC', idleMilliwatts: expect.closeTo(1000, 6) },
    });
    expect(float?.power?.meanMilliwatts).toBeCloseTo(10_000, 6);
    // 200 inferences in 0.4 s at 10 W; it is the stand-in that calls each of them 4 ms.
    expect(float?.energyPerInferenceMillijoules).toBeCloseTo(20, 6);
    expect(half?.power?.meanMilliwatts).toBeCloseTo(15_000, 6);
    expect(half?.energyPerInferenceMillijoules).toBeCloseTo(30, 6);
    expect(report.candidates.some(({ throttled }) => throttled)).toBe(false);
    expect(report.conditions).toMatchObject({
      governor: 'schedutil',
      powerMode: 'MODE_50W',
      clocksLocked: false,
      powerSource: 'INA3221 VDD_GPU_SOC',
      noPower: null,
      coolDownSeconds: null,
      waitedSeconds: 0,
    });
  },
  LIMIT_MS,
);

test(
  'a hot turn is taken again once the board is cool',
  async () => {
    const trip = { type: 'passive\n', temp: '95000\n' };
    const root = board({
      [`${ORIN_ZONE}/trip_point_0_type`]: trip.type,
      [`${ORIN_ZONE}/trip_point_0_temp`]: trip.temp,
    });
    bench = await openBench(root, SETTINGS);
    const progress = (event: ProgressEvent) => {
      if (isTurn(event, 1)) celsius(root, 96);
      if (event.phase.startsWith('throttled')) celsius(root, 48);
    };
    const report = await bench.run({ asIs: true }, { coolDownSeconds: 30, progress });
    const float = rowOf(report, 'tensorrt/fp32/t1');
    expect(float?.throttled).toMatchObject({
      reasons: ['thermal trip of gpu-thermal'],
      turns: 0,
      repeatedTurns: 1,
    });
    expect(float?.heat?.maxCelsius).toBe(48);
    expect(report.conditions?.waitedSeconds).toBeGreaterThanOrEqual(0.9);
    expect(report.warnings.join()).toContain('taken again after cooling: tensorrt/fp32/t1');
  },
  LIMIT_MS,
);
