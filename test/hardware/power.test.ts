import { readFileSync, symlinkSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { findGpu, readGpu } from '../../agent/hardware/gpu.ts';
import { findIna3221, readRails } from '../../agent/hardware/ina3221.ts';
import { parseJetsonClocks, readClocksLocked } from '../../agent/hardware/jetson-clocks.ts';
import { openPowerMeter } from '../../agent/hardware/power-meter.ts';
import { parseNvpmodel, readPowerModes } from '../../agent/hardware/power-mode.ts';
import { readPower } from '../../agent/hardware/power.ts';
import { totalPower } from '../../agent/hardware/rails.ts';
import { EnergySum, findRapl } from '../../agent/hardware/rapl.ts';
import { openTree, type Tree } from '../../agent/hardware/tree.ts';
import { parseMeasuredClock, parseMeasuredTemp, parsePmic } from '../../agent/hardware/vcgencmd.ts';
import { describeIf, sharedDir } from '../support/available.ts';
import { makeSysroot, putFile, removeSysroots, type Files } from '../support/sysroot.ts';

afterAll(removeSysroots);

const open = async (files: Files) => startReading(await openTree(makeSysroot(files)));

async function railsOf(root: string) {
  const reading = startReading(await openTree(root));
  const rails = await readRails(reading, await findIna3221(reading));
  return { rails, total: totalPower(rails), unknown: reading.unknown };
}

const HWMON = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon7';
const IIO = '/sys/bus/i2c/drivers/ina3221x/0-0041/iio:device1';

/** Three channels of the mainline driver; the first two are wired. */
const ORIN: Files = {
  [`${HWMON}/in1_label`]: 'VDD_IN\n',
  [`${HWMON}/in1_input`]: '5000\n',
  [`${HWMON}/curr1_input`]: '1300\n',
  [`${HWMON}/in2_label`]: 'VDD_SOC\n',
  [`${HWMON}/in2_input`]: '5008\n',
  [`${HWMON}/curr2_input`]: '250\n',
  [`${HWMON}/in3_label`]: 'NC\n',
  [`${HWMON}/in3_input`]: '0\n',
  [`${HWMON}/curr3_input`]: '0\n',
  [`${HWMON}/in7_label`]: 'sum of shunt voltages\n',
  [`${HWMON}/in7_input`]: '99\n',
};

describe('INA3221', () => {
  test('hwmon of L4T 34 and newer: mV times mA, without NC and channel 7', async () => {
    const { rails, total } = await railsOf(makeSysroot(ORIN));
    // 5.000 V x 1.300 A and 5.008 V x 0.250 A.
    expect(rails).toEqual([
      { name: 'VDD_IN', milliwatts: 6500 },
      { name: 'VDD_SOC', milliwatts: 1252 },
    ]);
    expect(total).toEqual({ milliwatts: 6500, rails: 'VDD_IN' });
  });

  test('iio of L4T 32: channels from 0, in mW; without an input the sum', async () => {
    const { total } = await railsOf(
      makeSysroot({
        [`${IIO}/rail_name_0`]: 'GPU\n',
        [`${IIO}/in_power0_input`]: '1155\n',
        [`${IIO}/rail_name_1`]: 'CPU\n',
        [`${IIO}/in_power1_input`]: '385\n',
        [`${IIO}/rail_name_2`]: 'NC\n',
        [`${IIO}/in_power2_input`]: '7\n',
      }),
    );
    expect(total).toEqual({ milliwatts: 1540, rails: 'GPU + CPU' });
  });

  test('found by its class where the folder of the driver is not to be seen', async () => {
    const files = Object.entries(ORIN).map(([path, text]) => [
      path.replace(HWMON, '/sys/class/hwmon/hwmon2'),
      text,
    ]);
    const named = { '/sys/class/hwmon/hwmon2/name': 'ina3221\n' };
    const { total } = await railsOf(makeSysroot({ ...Object.fromEntries(files), ...named }));
    expect(total?.milliwatts).toBe(6500);
  });

  test('a channel that cannot be read is left out, with a note', async () => {
    const { rails, unknown } = await railsOf(
      makeSysroot({ ...ORIN, [`${HWMON}/curr2_input`]: 'oops\n' }),
    );
    expect(rails.map(({ name }) => name)).toEqual(['VDD_IN']);
    expect(unknown.get('power.VDD_SOC.milliamperes')).toContain('whole number');
  });

  test('a meter whose input is gone for a moment says nothing, not the sum of the rest', async () => {
    const root = makeSysroot(ORIN);
    const { meter } = await openPowerMeter({ root });
    expect(meter?.source).toBe('INA3221 VDD_IN');
    await expect(meter?.read()).resolves.toMatchObject({ milliwatts: 6500 });
    putFile(root, `${HWMON}/in1_input`, '\n');
    await expect(meter?.read()).resolves.toBeNull();
  });

  test('the rail of the whole board, where the profile has a name of its own for it', async () => {
    const root = makeSysroot({ ...ORIN, [`${HWMON}/in1_label`]: 'GPU\n' });
    const source = async (totalRail: string | null) =>
      (await openPowerMeter({ root, totalRail })).meter?.source;
    await expect(source('VDD_SOC')).resolves.toBe('INA3221 VDD_SOC');
    // Not there, or not known: all rails.
    await expect(source('SYS_IN')).resolves.toBe('INA3221 GPU + VDD_SOC');
    await expect(source(null)).resolves.toBe('INA3221 GPU + VDD_SOC');
  });

  describeIf('shared')('recorded boards', () => {
    // Volts times amperes of the files, added up by hand.
    test.each([
      ['jetson-agx-orin', 2376 + 792 + 3520 + 300.6],
      ['jetson-agx-xavier', 1155 + 385 + 2504 + 192 + 2692],
      ['jetson-nano', 933],
      ['jetson-orin-nano', 4754.88],
      ['jetson-orin-nx', 5544],
      ['jetson-tx2', 5297],
    ])('%s', async (board, expected) => {
      const { rails, total } = await railsOf(sharedDir('boards/sysroots', board));
      expect(rails.length).toBeGreaterThanOrEqual(3);
      expect(rails.map(({ name }) => name)).not.toContain('NC');
      expect(total?.milliwatts).toBeCloseTo(expected, 9);
    });
  });
});

const RAPL = '/sys/class/powercap';
const PACKAGE: Files = {
  [`${RAPL}/intel-rapl:0/name`]: 'package-0\n',
  [`${RAPL}/intel-rapl:0/energy_uj`]: '5000000\n',
  [`${RAPL}/intel-rapl:0/max_energy_range_uj`]: '262143328850\n',
  [`${RAPL}/intel-rapl:0:0/name`]: 'core\n',
  [`${RAPL}/intel-rapl:0:0/energy_uj`]: '1000000\n',
  [`${RAPL}/intel-rapl:0:0/max_energy_range_uj`]: '262143328850\n',
  [`${RAPL}/intel-rapl:0:1/name`]: 'dram\n',
  [`${RAPL}/intel-rapl:0:1/energy_uj`]: '7000000\n',
  [`${RAPL}/intel-rapl:0:1/max_energy_range_uj`]: '65712999613\n',
  // The same package again, and the whole platform.
  [`${RAPL}/intel-rapl-mmio:0/name`]: 'package-0\n',
  [`${RAPL}/intel-rapl-mmio:0/energy_uj`]: '5000000\n',
  [`${RAPL}/intel-rapl-mmio:0/max_energy_range_uj`]: '262143328850\n',
  [`${RAPL}/intel-rapl:1/name`]: 'psys\n',
  [`${RAPL}/intel-rapl:1/energy_uj`]: '9\n',
};

describe('RAPL', () => {
  test('package and memory count; cores are part of it, mmio is the same again', async () => {
    const root = makeSysroot(PACKAGE);
    const { meter } = await openPowerMeter({ root });
    expect(meter).toMatchObject({ source: 'RAPL package-0 + dram', counts: true });
    await expect(meter?.read()).resolves.toMatchObject({ millijoules: 0 });
    putFile(root, `${RAPL}/intel-rapl:0/energy_uj`, '5600000\n');
    putFile(root, `${RAPL}/intel-rapl:0:1/energy_uj`, '7150000\n');
    // 600 mJ and 150 mJ more.
    await expect(meter?.read()).resolves.toMatchObject({ millijoules: 750 });
  });

  test('a counter that starts again at 0', () => {
    const zone = { name: 'package-0', path: 'p', rangeMicrojoules: 10_000 };
    const sum = new EnergySum();
    expect(sum.add([{ zone, microjoules: 9000 }])).toBe(0);
    // 1000 up to the range, 500 behind it.
    expect(sum.add([{ zone, microjoules: 500 }])).toBe(1.5);
    expect(sum.add([{ zone, microjoules: 2500 }])).toBe(3.5);
  });

  test("counters that are root's alone are unknown, and the reason says what to do", async () => {
    const tree = await openTree(makeSysroot(PACKAGE));
    const refused: Tree = {
      ...tree,
      readText: (path) =>
        path.endsWith('energy_uj')
          ? Promise.reject(Object.assign(new Error('permission denied'), { code: 'EACCES' }))
          : tree.readText(path),
    };
    const reading = startReading(refused);
    await expect(findRapl(reading)).resolves.toEqual([]);
    expect(reading.unknown.get('power')).toMatch(/intel-rapl:0\/energy_uj: .*only root/);
  });

  test('no meter at all: said so', async () => {
    const { meter, why } = await openPowerMeter({ root: makeSysroot({}) });
    expect(meter).toBeNull();
    expect(why).toContain('no power monitor');
  });
});

describe('vcgencmd', () => {
  test('temperature and clock', () => {
    expect(parseMeasuredTemp("temp=48.3'C\n")).toBe(48.3);
    expect(parseMeasuredClock('frequency(48)=1500398464\n')).toBe(1_500_398_464);
    expect(parseMeasuredClock('frequency(0)=600000000\n')).toBe(600_000_000);
    expect(() => parseMeasuredTemp('error=1 error_msg="Command not registered"')).toThrow('temp=');
    expect(() => parseMeasuredClock('VCHI initialization failed')).toThrow('frequency(48)=');
  });

  test('the power chip of a Pi 5: only what has both a current and a voltage', () => {
    const text = [
      ' 3V7_WL_SW_A current(0)=0.10000000A',
      '  VDD_CORE_A current(7)=0.80000000A',
      '   3V3_DAC_A current(17)=0.00100000A',
      ' 3V7_WL_SW_V volt(8)=3.70000000V',
      '  VDD_CORE_V volt(15)=0.75000000V',
      '     EXT5V_V volt(24)=5.15000000V',
      '      BATT_V volt(25)=0.00000000V',
      '',
    ].join('\n');
    const rails = parsePmic(text);
    expect(rails.map(({ name }) => name)).toEqual(['3V7_WL_SW', 'VDD_CORE']);
    // 0.1 A x 3.7 V and 0.8 A x 0.75 V.
    expect(rails.map(({ milliwatts }) => milliwatts)).toEqual([
      expect.closeTo(370, 9),
      expect.closeTo(600, 9),
    ]);
    expect(() => parsePmic('error=1 error_msg="Command not registered"')).toThrow('power chip');
  });

  describeIf('shared')('captured', () => {
    test('measure_temp', () => {
      const text = readFileSync(sharedDir('boards/outputs/vcgencmd/measure_temp.txt'), 'utf8');
      expect(parseMeasuredTemp(text)).toBe(48.3);
    });
  });
});

describe('GPU', () => {
  test('load in tenths of a percent; the clock by the name of the node', async () => {
    const reading = await open({
      '/sys/devices/gpu.0/load': '635\n',
      '/sys/class/devfreq/17000000.abc/device/of_node/name': 'ga10b\0',
      '/sys/class/devfreq/17000000.abc/cur_freq': '918000000\n',
      '/sys/class/devfreq/13e10000.host1x/device/of_node/name': 'host1x\0',
      '/sys/class/devfreq/13e10000.host1x/cur_freq': '1\n',
    });
    const files = await findGpu(reading);
    expect(await readGpu(reading, files ?? {})).toEqual({
      frequencyHz: 918_000_000,
      loadShare: 0.635,
    });
  });

  test('Thor: a clock without a node, among others, and no load', async () => {
    const reading = await open({
      '/sys/class/devfreq/gpu-gpc-0/cur_freq': '1575000000\n',
      '/sys/class/devfreq/gpu-nvd-0/cur_freq': '2\n',
    });
    const files = await findGpu(reading);
    expect(await readGpu(reading, files ?? {})).toEqual({
      frequencyHz: 1_575_000_000,
      loadShare: null,
    });
  });

  test('a load out of range is unknown; no GPU is null', async () => {
    const reading = await open({ '/sys/devices/platform/gpu.0/load': '1001\n' });
    expect(await readGpu(reading, (await findGpu(reading)) ?? {})).toMatchObject({
      loadShare: null,
    });
    expect(await findGpu(await open({}))).toBeNull();
  });
});

describe('power modes', () => {
  test.each([
    ['NV Power Mode: MODE_15W\n2\n', 'MODE_15W'],
    ['NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0\n', 'MAXN'],
    ['NV Power Mode[1]: 120W\n', '120W'],
    [
      'NVPM VERB: Config file: /etc/nvpmodel.conf\nNVPM VERB: Current mode: NV Power Mode: 25W\n1\nNVPM VERB: PARAM CPU_ONLINE: ARG CORE_0\n',
      '25W',
    ],
  ])('%j', (text, mode) => {
    expect(parseNvpmodel(text)).toBe(mode);
  });

  test('without a mode: refused', () => {
    expect(() => parseNvpmodel('NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13\n')).toThrow(
      'NV Power Mode',
    );
  });

  test('no trace of nvpmodel: none', async () => {
    const modes = await readPowerModes(await open({}), []);
    expect(modes).toMatchObject({ current: null, source: null, all: [] });
  });

  describeIf('shared')('captured', () => {
    test.each([
      ['agx-xavier-q-15w', 'MODE_15W'],
      ['nano-q-maxn', 'MAXN'],
      ['orin-nano-q-25w', '25W'],
      ['orin-nano-super-q-verbose-25w', '25W'],
      ['orin-q-maxn', 'MAXN'],
      ['thor-q-120w', '120W'],
    ])('%s', (name, mode) => {
      const text = readFileSync(sharedDir(`boards/outputs/nvpmodel/${name}.txt`), 'utf8');
      expect(parseNvpmodel(text)).toBe(mode);
    });

    test.each([
      ['nano-show-maxn', true],
      ['tx1-show', true],
      ['orin-nano-super-show', false],
    ])('jetson_clocks %s', (name, locked) => {
      const text = readFileSync(sharedDir(`boards/outputs/jetson_clocks/${name}.txt`), 'utf8');
      expect(parseJetsonClocks(text)).toBe(locked);
    });
  });
});

describe('held clocks', () => {
  const line = (cpu: number, min: number, max: number) =>
    `cpu${cpu}: Online=1 Governor=schedutil MinFreq=${min} MaxFreq=${max} CurrentFreq=${min}`;
  const GPU = 'GPU MinFreq=918000000 MaxFreq=918000000 CurrentFreq=918000000';
  const EMC = 'EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=3199000000 FreqOverride=1';

  test('every core and the GPU at one frequency; memory is held by an override', () => {
    expect(parseJetsonClocks([line(0, 1344, 1344), GPU, EMC].join('\n'))).toBe(true);
    expect(parseJetsonClocks([line(0, 1344, 1344), line(1, 729, 1344), GPU].join('\n'))).toBe(
      false,
    );
  });

  test('a core that is off does not count', () => {
    const off = 'cpu1: Online=0 Governor=schedutil MinFreq=1 MaxFreq=2 CurrentFreq=1';
    expect(parseJetsonClocks([line(0, 1344, 1344), off].join('\n'))).toBe(true);
  });

  test('what is no such output is refused', () => {
    expect(() => parseJetsonClocks('Error: Please run as root\n')).toThrow('MinFreq');
  });

  test('from the files that the tool reads', async () => {
    const limits = (min: string): Files => ({
      '/sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq': `${min}\n`,
      '/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq': '1344000\n',
    });
    await expect(readClocksLocked(await open(limits('1344000')), null)).resolves.toBe(true);
    await expect(readClocksLocked(await open(limits('729600')), null)).resolves.toBe(false);
    await expect(readClocksLocked(await open({}), null)).resolves.toBeNull();
  });
});

describe('the facts of a probe', () => {
  test('mode, rails and GPU of a Jetson', async () => {
    const root = makeSysroot({
      ...ORIN,
      '/var/lib/nvpmodel/status': 'pmode:0001 fmode:quiet\n',
      '/etc/nvpmodel.conf': '< POWER_MODEL ID=1 NAME=25W >\n',
      '/sys/devices/platform/gpu.0/load': '0\n',
    });
    // As on the board: the folder of the class leads to the driver's, and counts once.
    putFile(root, `${HWMON}/name`, 'ina3221\n');
    mkdirSync(join(root, 'sys/class/hwmon'), { recursive: true });
    symlinkSync(HWMON, join(root, 'sys/class/hwmon/hwmon7'));
    const reading = startReading(await openTree(root));
    await expect(readPower(reading, await readPowerModes(reading))).resolves.toEqual({
      power: {
        mode: '25W',
        clocksLocked: null,
        totalMilliwatts: 6500,
        rails: [
          { name: 'VDD_IN', milliwatts: 6500 },
          { name: 'VDD_SOC', milliwatts: 1252 },
        ],
      },
      gpu: { frequencyHz: null, loadShare: 0 },
    });
    expect(reading.sources.get('power.mode')).toBe('/var/lib/nvpmodel/status');
  });

  test('nothing of the kind: nothing is said', async () => {
    const reading = await open({});
    await expect(readPower(reading, await readPowerModes(reading))).resolves.toEqual({});
    expect([...reading.unknown.keys()]).not.toContain('power.mode');
  });
});
