import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { sampleHeat } from '../../agent/hardware/heat.ts';
import { hottest, readThermal } from '../../agent/hardware/thermal.ts';
import { askFirmware, parseThrottled, readThrottling } from '../../agent/hardware/throttling.ts';
import { openTree, type Tree } from '../../agent/hardware/tree.ts';
import { makeSysroot, raspberryPi4, removeSysroots, type Files } from '../support/sysroot.ts';

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

describe('sampleHeat', () => {
  test('reads heat, clock and throttling at once', async () => {
    const root = makeSysroot({
      ...raspberryPi4(),
      '/sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n',
    });
    await expect(sampleHeat(root)).resolves.toEqual({
      celsius: 48.312,
      frequencyHz: 900_000_000,
      throttled: ['under-voltage', 'throttled'],
    });
  });

  test('knows nothing in an empty tree', async () => {
    await expect(sampleHeat(makeSysroot({}))).resolves.toEqual({
      celsius: null,
      frequencyHz: null,
      throttled: [],
    });
  });
});
