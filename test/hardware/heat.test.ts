import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { openHeat } from '../../agent/hardware/heat.ts';
import { slowly } from '../../agent/hardware/slowly.ts';
import { hottest, readThermal } from '../../agent/hardware/thermal.ts';
import { askFirmware, parseThrottled, readThrottling } from '../../agent/hardware/throttling.ts';
import { openTree, type Tree } from '../../agent/hardware/tree.ts';
import {
  makeSysroot,
  putFile,
  raspberryPi4,
  removeSysroots,
  type Files,
} from '../support/sysroot.ts';

afterAll(removeSysroots);

function zones(list: readonly (readonly [type: string, temp: string])[]): Files {
  return Object.fromEntries(
    list.flatMap(([type, temp], at) => [
      [`/sys/class/thermal/thermal_zone${at}/type`, `${type}\n`],
      [`/sys/class/thermal/thermal_zone${at}/temp`, temp],
    ]),
  );
}

async function read(files: Files) {
  const reading = startReading(await openTree(makeSysroot(files)));
  return { thermal: await readThermal(reading), reading };
}

describe('thermal zones', () => {
  test('PMIC-Die is a constant and no temperature', async () => {
    const { thermal } = await read(
      zones([
        ['CPU-therm', '35500\n'],
        ['PMIC-Die', '100000\n'],
      ]),
    );
    expect(thermal).toEqual([{ zone: 'CPU-therm', celsius: 35.5 }]);
    expect(hottest(thermal)).toBe(35.5);
  });

  test('a zone that is powered off (EAGAIN) is unknown, the others are read', async () => {
    const files = zones([
      ['cpu-thermal', '48000\n'],
      ['cv0-thermal', '0\n'],
    ]);
    const tree = await openTree(makeSysroot(files));
    const off = '/sys/class/thermal/thermal_zone1/temp';
    const poweredOff: Tree = {
      ...tree,
      readText: (path) =>
        path === off
          ? Promise.reject(Object.assign(new Error('resource unavailable'), { code: 'EAGAIN' }))
          : tree.readText(path),
    };
    const reading = startReading(poweredOff);
    await expect(readThermal(reading)).resolves.toEqual([
      { zone: 'cpu-thermal', celsius: 48 },
      { zone: 'cv0-thermal', celsius: null },
    ]);
    expect(reading.unknown.get('thermal.cv0-thermal')).toContain('EAGAIN');
    expect([...reading.unknown.keys()]).toEqual(['thermal.cv0-thermal']);
  });

  test.each(['-256000\n', '999000\n', 'cold\n', ''])('temp %j is nonsense', async (temp) => {
    const { thermal, reading } = await read(zones([['GPU-therm', temp]]));
    expect(thermal).toEqual([{ zone: 'GPU-therm', celsius: null }]);
    expect(reading.unknown.has('thermal.GPU-therm')).toBe(true);
  });

  test('frost is not nonsense', async () => {
    const { thermal } = await read(zones([['AO-therm', '-12500\n']]));
    expect(thermal).toEqual([{ zone: 'AO-therm', celsius: -12.5 }]);
  });

  test('two zones of one name keep their own sources and reasons', async () => {
    const { thermal, reading } = await read(
      zones([
        ['acpitz', '27800\n'],
        ['acpitz', 'cold\n'],
        ['acpitz', '29800\n'],
      ]),
    );
    expect(thermal.map(({ celsius }) => celsius)).toEqual([27.8, null, 29.8]);
    expect(Object.fromEntries(reading.sources)).toEqual({
      'thermal.acpitz': '/sys/class/thermal/thermal_zone0/temp',
      'thermal.acpitz.thermal_zone2': '/sys/class/thermal/thermal_zone2/temp',
    });
    expect([...reading.unknown.keys()]).toEqual(['thermal.acpitz.thermal_zone1']);
  });

  test('without zones a CPU sensor is read, others are not', async () => {
    const { thermal } = await read({
      '/sys/class/hwmon/hwmon0/name': 'nvme\n',
      '/sys/class/hwmon/hwmon0/temp1_input': '33000\n',
      '/sys/class/hwmon/hwmon1/name': 'k10temp\n',
      '/sys/class/hwmon/hwmon1/temp1_input': '51250\n',
    });
    expect(thermal).toEqual([{ zone: 'k10temp', celsius: 51.25 }]);
  });

  test('estimates and radios do not count as the hottest', () => {
    const found = [
      { zone: 'thermal-fan-est', celsius: 80 },
      { zone: 'iwlwifi_1', celsius: 70 },
      { zone: 'x86_pkg_temp', celsius: 60 },
      { zone: 'cv0-thermal', celsius: null },
    ];
    expect(hottest(found)).toBe(60);
    expect(hottest([])).toBeNull();
  });
});

/** A program that stands for vcgencmd. */
function tool(lines: string): string {
  const path = join(makeSysroot({ '/vcgencmd': `#!/bin/sh\n${lines}\n` }), 'vcgencmd');
  chmodSync(path, 0o755);
  return path;
}

describe('throttling', () => {
  test.each([
    ['0\n', [], []],
    ['50005\n', ['under-voltage', 'throttled'], ['under-voltage', 'throttled']],
    ['0x50000', [], ['under-voltage', 'throttled']],
    ['throttled=0x20002\n', ['frequency-capped'], ['frequency-capped']],
    ['80008', ['soft-temperature-limit'], ['soft-temperature-limit']],
  ])('get_throttled %j is hexadecimal', (text, now, sinceBoot) => {
    expect(parseThrottled(text)).toEqual({ now, sinceBoot });
  });

  describe('vcgencmd', () => {
    test('is asked on the running machine', async () => {
      const reading = startReading(await openTree(undefined));
      const path = tool('test "$*" = get_throttled && echo throttled=0x50005');
      await expect(askFirmware(reading, ['/nonexistent/vcgencmd', path])).resolves.toEqual({
        now: ['under-voltage', 'throttled'],
        sinceBoot: ['under-voltage', 'throttled'],
      });
      expect(reading.sources.get('throttling')).toBe(path);
    });

    test.each([
      ['fails', 'echo "VCHI initialization failed" >&2; exit 255', 'VCHI initialization failed'],
      ['says nonsense', 'echo error=1', 'expected a hexadecimal number'],
      ['hangs', 'exec sleep 60', 'Command failed'],
    ])('that %s is a reason, not an error', async (_, lines, why) => {
      const reading = startReading(await openTree(undefined));
      await expect(askFirmware(reading, [tool(lines)])).resolves.toBeNull();
      expect(reading.unknown.get('throttling')).toContain(why);
    });

    test('is not asked about a recording, or when it is not there', async () => {
      const recorded = startReading(await openTree(makeSysroot({})));
      await expect(askFirmware(recorded, [tool('echo throttled=0x0')])).resolves.toBeNull();
      const live = startReading(await openTree(undefined));
      await expect(askFirmware(live, ['/nonexistent/vcgencmd'])).resolves.toBeNull();
      expect([...recorded.unknown, ...live.unknown]).toEqual([]);
    });
  });

  test('a newer kernel has only the under-voltage alarm', async () => {
    const reading = startReading(
      await openTree(
        makeSysroot({
          '/sys/class/hwmon/hwmon0/name': 'cpu_thermal\n',
          '/sys/class/hwmon/hwmon3/name': 'rpi_volt\n',
          '/sys/class/hwmon/hwmon3/in0_lcrit_alarm': '1\n',
        }),
      ),
    );
    await expect(readThrottling(reading)).resolves.toEqual({
      now: ['under-voltage'],
      sinceBoot: [],
    });
    expect(reading.sources.get('throttling')).toBe('/sys/class/hwmon/hwmon3/in0_lcrit_alarm');
  });

  test('nonsense is unknown', async () => {
    const path = '/sys/devices/platform/soc/soc:firmware/get_throttled';
    const reading = startReading(await openTree(makeSysroot({ [path]: 'hot\n' })));
    await expect(readThrottling(reading)).resolves.toBeNull();
    expect(reading.unknown.get('throttling')).toContain('hexadecimal');
  });
});

describe('a heat reader', () => {
  const cpufreq = (cpu: number) => `/sys/devices/system/cpu/cpu${cpu}/cpufreq`;

  test('reads heat, clocks, limits and throttling at once, and again', async () => {
    const root = makeSysroot({
      ...raspberryPi4(),
      '/sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n',
    });
    const heat = await openHeat(root);
    expect(heat.governor).toBe('ondemand');
    const first = await heat.read();
    expect(first).toEqual({
      celsius: 48.312,
      zone: 'cpu-thermal',
      frequencyHz: 900_000_000,
      limitHz: 1_800_000_000,
      gpuHz: null,
      gpuLoadShare: null,
      throttling: {
        now: ['under-voltage', 'throttled'],
        sinceBoot: ['under-voltage', 'throttled'],
        events: null,
      },
      tripped: [],
      cooling: [],
    });
    putFile(root, '/sys/class/thermal/thermal_zone0/temp', '81000\n');
    putFile(root, '/sys/devices/platform/soc/soc:firmware/get_throttled', '80008\n');
    for (const cpu of [0, 1, 2, 3]) putFile(root, `${cpufreq(cpu)}/scaling_max_freq`, '1000000\n');
    await expect(heat.read()).resolves.toMatchObject({
      celsius: 81,
      limitHz: 1_000_000_000,
      throttling: { now: ['soft-temperature-limit'] },
    });
  });

  test('knows nothing in an empty tree', async () => {
    const heat = await openHeat(makeSysroot({}));
    expect(heat).toMatchObject({ governor: null, steadyClock: false });
    await expect(heat.read()).resolves.toEqual({
      celsius: null,
      zone: null,
      frequencyHz: null,
      limitHz: null,
      gpuHz: null,
      gpuLoadShare: null,
      throttling: null,
      tripped: [],
      cooling: [],
    });
  });

  test('the hottest zone is one of a processor, whatever a board or a battery says', async () => {
    const heat = await openHeat(
      makeSysroot(
        zones([
          ['Tboard_tegra', '70000\n'],
          ['PMIC-Die', '100000\n'],
          ['CPU-therm', '51000\n'],
          ['GPU-therm', '52500\n'],
        ]),
      ),
    );
    await expect(heat.read()).resolves.toMatchObject({ celsius: 52.5, zone: 'GPU-therm' });
  });

  test('cores that share a clock are read once; a boosting driver gives no steady clock', async () => {
    const core = (cpu: number, hz: number): Files => ({
      [`${cpufreq(cpu)}/related_cpus`]: cpu < 2 ? '0 1\n' : '2 3\n',
      [`${cpufreq(cpu)}/scaling_cur_freq`]: `${hz}\n`,
      [`${cpufreq(cpu)}/scaling_driver`]: cpu === 0 ? 'cpufreq-dt\n' : 'intel_pstate\n',
    });
    const files = { ...core(0, 600_000), ...core(1, 2_000_000), ...core(2, 700_000) };
    const heat = await openHeat(makeSysroot(files));
    expect(heat.steadyClock).toBe(true);
    // Core 1 says the same as core 0 on a machine; here it tells whether it was asked.
    await expect(heat.read()).resolves.toMatchObject({ frequencyHz: 700_000_000 });
    const boosting = await openHeat(makeSysroot(core(2, 700_000)));
    expect(boosting.steadyClock).toBe(false);
  });

  test("x86: the processor's counters, of a core and of all", async () => {
    const folder = '/sys/devices/system/cpu/cpu0/thermal_throttle';
    const root = makeSysroot({
      [`${folder}/core_throttle_count`]: '3\n',
      [`${folder}/package_throttle_count`]: '4\n',
    });
    const heat = await openHeat(root);
    await expect(heat.read()).resolves.toMatchObject({ throttling: { now: [], events: 7 } });
    putFile(root, `${folder}/package_throttle_count`, '6\n');
    await expect(heat.read()).resolves.toMatchObject({ throttling: { events: 9 } });
  });
});

describe('trips and cooling', () => {
  const ZONE = '/sys/class/thermal/thermal_zone0';
  const trip = (at: number, type: string, temp: string): Files => ({
    [`${ZONE}/trip_point_${at}_type`]: `${type}\n`,
    [`${ZONE}/trip_point_${at}_temp`]: `${temp}\n`,
  });
  const tripped = async (temp: string, files: Files) => {
    const heat = await openHeat(makeSysroot({ ...zones([['soc-thermal', temp]]), ...files }));
    return (await heat.read()).tripped;
  };

  test('the first passive trip; a fan and a trip that is not set do not count', async () => {
    const trips = {
      ...trip(0, 'active', '40000'),
      ...trip(1, 'passive', '0'),
      ...trip(2, 'passive', '75000'),
      ...trip(3, 'passive', '85000'),
      ...trip(4, 'critical', '110000'),
    };
    await expect(tripped('74999', trips)).resolves.toEqual([]);
    await expect(tripped('75000', trips)).resolves.toEqual(['soc-thermal']);
    // The power allocator only starts to look at the first one.
    const allocator = { ...trips, [`${ZONE}/policy`]: 'power_allocator\n' };
    await expect(tripped('80000', allocator)).resolves.toEqual([]);
    await expect(tripped('85000', allocator)).resolves.toEqual(['soc-thermal']);
  });

  test('without a passive trip the lowest of the others', async () => {
    const trips = { ...trip(0, 'hot', '90000'), ...trip(1, 'critical', '110000') };
    await expect(tripped('89000', trips)).resolves.toEqual([]);
    await expect(tripped('90000', trips)).resolves.toEqual(['soc-thermal']);
  });

  test('no trip points: the limit of the profile, for the zones that it names', async () => {
    const limit = { throttleCelsius: 97, sensors: ['soc-therm', 'gpu-therm'] };
    const hot = zones([
      ['soc-thermal', '97000'],
      ['AO-therm', '98000'],
    ]);
    const limited = async (files: Files) => {
      const heat = await openHeat(makeSysroot({ ...hot, ...files }), { limit });
      return (await heat.read()).tripped;
    };
    await expect(limited({})).resolves.toEqual(['soc-thermal']);
    await expect(limited({ [`${ZONE}/temp`]: '96900\n' })).resolves.toEqual([]);
    await expect(limited(trip(0, 'passive', '99000'))).resolves.toEqual([]);
    // What the firmware of a Raspberry Pi says is no guess.
    const bits = '/sys/devices/platform/soc/soc:firmware/get_throttled';
    await expect(limited({ [bits]: '0\n' })).resolves.toEqual([]);
  });

  test('cooling by a slower clock counts, a fan and a fixed setting do not', async () => {
    const device = (at: number, type: string, state: string): Files => ({
      [`/sys/class/thermal/cooling_device${at}/type`]: `${type}\n`,
      [`/sys/class/thermal/cooling_device${at}/cur_state`]: `${state}\n`,
    });
    const heat = await openHeat(
      makeSysroot({
        ...device(0, 'pwm-fan', '3'),
        ...device(1, 'cpufreq-cpu0', '2'),
        ...device(2, 'cpufreq-cpu4', '0'),
        ...device(3, 'TCC Offset', '10'),
        ...device(4, 'intel_powerclamp', '-1'),
        ...device(5, 'Processor', '1'),
      }),
    );
    await expect(heat.read()).resolves.toMatchObject({ cooling: ['cpufreq-cpu0', 'Processor'] });
  });
});

test('a program is asked every so often, and at once when the answer must be fresh', async () => {
  let [now, asked] = [0, 0];
  const ask = slowly(
    () => Promise.resolve((asked += 1)),
    1000,
    () => now,
  );
  expect([await ask(), await ask()]).toEqual([1, 1]);
  now = 999;
  await expect(ask()).resolves.toBe(1);
  await expect(ask(true)).resolves.toBe(2);
  now = 1999;
  await expect(ask()).resolves.toBe(3);
});
