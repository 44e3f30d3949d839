import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { totalPower } from '../../agent/hardware/rails.ts';
import { parseTegrastats, type Tegrastats } from '../../agent/hardware/tegrastats.ts';
import { available, describeIf, sharedDir } from '../support/available.ts';

const MHZ = 1_000_000;
const zones = ({ temperatures }: Tegrastats) =>
  Object.fromEntries(temperatures.map(({ zone, celsius }) => [zone, celsius]));
const rails = (line: Tegrastats) =>
  Object.fromEntries(line.rails.map(({ name, milliwatts }) => [name, milliwatts]));

describe('a line of each release', () => {
  test('R28: lower-case cpu with one clock, GR3D and EMC without _FREQ, no rails', () => {
    const line = parseTegrastats(
      'RAM 1000/3983MB (lfb 48x4MB) SWAP 8/8192MB (cached 2MB) cpu [10%,20%,off,5%]@408 EMC 1%@1600 APE 25 GR3D 3%@76',
    );
    expect(line).toEqual({
      ramUsedMegabytes: 1000,
      ramTotalMegabytes: 3983,
      cores: [
        { loadShare: 0.1, frequencyHz: 408 * MHZ },
        { loadShare: 0.2, frequencyHz: 408 * MHZ },
        null,
        { loadShare: 0.05, frequencyHz: 408 * MHZ },
      ],
      gpuLoadShare: 0.03,
      gpuFrequencyHz: 76 * MHZ,
      memoryFrequencyHz: 1600 * MHZ,
      temperatures: [],
      rails: [],
    });
  });

  test('R32: powers without a unit, as user no clocks of memory and GPU', () => {
    const line = parseTegrastats(
      'RAM 330/3964MB (lfb 758x4MB) IRAM 0/252kB(lfb 252kB) CPU [12%@102,5%@102] EMC_FREQ 0% GR3D_FREQ 41% PLL@20.5C CPU@-3C PMIC@100C POM_5V_IN 933/940 POM_5V_GPU 0/0 POM_5V_CPU 84/105',
    );
    expect(line).toMatchObject({
      gpuLoadShare: 0.41,
      gpuFrequencyHz: null,
      memoryFrequencyHz: null,
    });
    expect(zones(line)).toEqual({ PLL: 20.5, CPU: -3, PMIC: 100 });
    expect(rails(line)).toEqual({ POM_5V_IN: 933, POM_5V_GPU: 0, POM_5V_CPU: 84 });
    expect(totalPower(line.rails)).toEqual({ milliwatts: 933, rails: 'POM_5V_IN' });
  });

  test('R32 on Xavier: rails with the names of zones, and no input: the sum', () => {
    const line = parseTegrastats(
      'RAM 408/15823MB (lfb 1x512kB) CPU [0%@2265] GR3D_FREQ 0%@1377 GPU@28C CPU@27C NVENC 716 GPU 1155/1200 CPU 385/400 CV 0/0',
    );
    expect(zones(line)).toEqual({ GPU: 28, CPU: 27 });
    expect(totalPower(line.rails)).toEqual({ milliwatts: 1540, rails: 'GPU + CPU + CV' });
  });

  test('R35: a date in front, two GPU parts, sensors that are off, channels that are none', () => {
    const line = parseTegrastats(
      '01-03-2023 16:07:54 RAM 2257/30536MB (lfb 5392x4MB) CPU [1%@729,0%@1190] EMC_FREQ 0%@204 GR3D_FREQ 7%@300 GR3D2_FREQ 9%@612 CV0@-256C CPU@41.437C NC 0mW/0mW VIN_SYS_5V0 3522mW/3600mW VDD_GPU_SOC 2390mW/2390mW',
    );
    expect(line).toMatchObject({ gpuLoadShare: 0.09, gpuFrequencyHz: 612 * MHZ });
    expect(zones(line)).toEqual({ CPU: 41.437 });
    expect(totalPower(line.rails)?.milliwatts).toBe(3522 + 2390);
  });

  test('R36: clocks in brackets, a unit that is missing once, a blank at the end', () => {
    const line = parseTegrastats(
      '12-23-2024 22:54:11 RAM 3162/7620MB (lfb 4x2MB) CPU [1%@729,off] GR3D_FREQ 63%@[621] cpu@62.843C tj@63C VDD_IN 3913mW/3922mW VDD_SOC 598mW/598 ',
    );
    expect(line).toMatchObject({ gpuLoadShare: 0.63, gpuFrequencyHz: 621 * MHZ });
    expect(rails(line)).toEqual({ VDD_IN: 3913, VDD_SOC: 598 });
  });

  test('R39: maxima behind temperatures and powers; Thor has no GPU load and an input VIN', () => {
    const line = parseTegrastats(
      '08-08-2026 20:58:23 RAM 3429/125749MB (lfb 120x4MB) CPU [0%,5%,off]@2601 EMC_FREQ @4266 GR3D_FREQ @[1574,1600] NVENC0 off PVA0_FREQ off cpu@49.75C/51C VDD_GPU 6330mW/6000mW/7000mW VIN 28906mW/14453mW/28906mW',
    );
    expect(line).toMatchObject({
      gpuLoadShare: null,
      gpuFrequencyHz: 1600 * MHZ,
      memoryFrequencyHz: 4266 * MHZ,
    });
    expect(line.cores).toEqual([
      { loadShare: 0, frequencyHz: 2601 * MHZ },
      { loadShare: 0.05, frequencyHz: 2601 * MHZ },
      null,
    ]);
    expect(zones(line)).toEqual({ cpu: 49.75 });
    expect(totalPower(line.rails)).toEqual({ milliwatts: 28_906, rails: 'VIN' });
  });

  test.each(['', 'tegrastats: command not found', 'RAM usage is high'])('refused: %j', (line) => {
    expect(() => parseTegrastats(line)).toThrow('a line of tegrastats');
  });
});

/** Read by eye from the lines: cores, of which off; GPU load; MHz; zones that are on; rails; total mW. */
const CAPTURED: Readonly<Record<string, readonly (number | null)[]>> = {
  'agx-orin-l4t35-root': [12, 0, 0, 0, 7, 4, 2390 + 796 + 3522 + 301],
  'agx-orin-l4t39-root': [12, 0, 0.12, 1300, 4, 3, 5139 + 3268 + 5500],
  'agx-xavier-l4t32-root': [8, 0, 0, 1377, 9, 6, 1155 + 385 + 2502 + 192 + 2692],
  'nano-l4t32-captured': [4, 0, 0, null, 6, 3, 2545],
  'nano-l4t32-root': [4, 0, 0.41, 76, 6, 3, 933],
  'nano-l4t32-user': [4, 0, 0.41, null, 6, 3, 933],
  'orin-nano-4gb-root': [6, 0, 0, 305, 6, 2, 4428],
  'orin-nano-l4t35-unspecified-root': [6, 0, 0.63, 621, 6, 3, 12_479],
  'orin-nano-l4t36-cpus-off': [6, 2, 0.01, null, 6, 3, 3913],
  'orin-nano-l4t36-jetson_clocks': [6, 0, 0, null, 6, 3, 6626],
  'orin-nano-l4t36-user': [6, 0, 0, null, 6, 3, 4761],
  'thor-l4t39-idle': [3, 1, null, 1574, 3, 2, 28_906],
  'thor-l4t39-loaded': [4, 1, 0.87, 1574, 5, 4, 124_486],
  'tx1-l4t28-lowercase': [4, 0, 0.03, 76, 0, 0, null],
  'tx2-l4t32-root': [6, 0, 0, 114, 8, 6, 5297],
  'tx2-negative-temps': [6, 0, 0.46, 1300, 9, 6, 14_025],
};

describeIf('shared')('captured lines', () => {
  const folder = sharedDir('boards/outputs/tegrastats');
  const files = available('shared')
    ? readdirSync(folder).filter((name) => name.endsWith('.txt'))
    : ['none'];
  const linesOf = (name: string) =>
    readFileSync(`${folder}/${name}`, 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');

  test.each(files)('every line of %s has memory, cores and plausible figures', (name) => {
    for (const text of linesOf(name)) {
      const line = parseTegrastats(text);
      expect(line.ramTotalMegabytes).toBeGreaterThan(line.ramUsedMegabytes);
      expect(line.cores.length).toBeGreaterThan(0);
      for (const { celsius } of line.temperatures) expect(Math.abs(celsius)).toBeLessThan(120);
      for (const core of line.cores) expect(core?.frequencyHz ?? MHZ).toBeGreaterThan(0);
    }
  });

  test.each(Object.keys(CAPTURED))('%s', (name) => {
    const [text = ''] = linesOf(`${name}.txt`);
    const line = parseTegrastats(text);
    const mhz = line.gpuFrequencyHz === null ? null : line.gpuFrequencyHz / MHZ;
    expect([
      line.cores.length,
      line.cores.filter((core) => core === null).length,
      line.gpuLoadShare,
      mhz,
      line.temperatures.length,
      line.rails.length,
      totalPower(line.rails)?.milliwatts ?? null,
    ]).toEqual(CAPTURED[name]);
  });
});
