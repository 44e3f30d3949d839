// What `agent doctor` says of a machine, from small trees.
import { afterAll, describe, expect, test } from '@jest/globals';
import { machineChecks } from '../../agent/hardware/checks.ts';
import { checkSpace } from '../../agent/hardware/check-storage.ts';
import { probeMachine } from '../../agent/hardware/probe.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import {
  makeSysroot,
  meminfo,
  raspberryPi4,
  removeSysroots,
  type Files,
} from '../support/sysroot.ts';

afterAll(removeSysroots);

async function findings(files: Files, base: Files = raspberryPi4()) {
  const root = makeSysroot({ ...base, ...files });
  const machine = { ...(await probeMachine({ root })), tree: await openTree(root), folder: root };
  const all = machineChecks(machine).map(async ({ id, severity, run }) => {
    const { ok, found, mend } = await run(new AbortController().signal);
    return [id, { ok, severity, found, mend }] as const;
  });
  return new Map(await Promise.all(all));
}

type Row = readonly [name: string, files: Files, ok: boolean, text: string];

function check(id: string, rows: readonly Row[]): void {
  describe(`${id}:`, () => {
    test.each(rows)('%s', async (_, files, ok, text) => {
      const finding = (await findings(files)).get(id);
      expect(finding).toMatchObject({ ok, severity: 'optional' });
      expect(`${finding?.found}; ${finding?.mend ?? ''}`).toContain(text);
      // What is wrong comes with what to do.
      expect(finding?.mend === undefined).toBe(ok);
    });
  });
}

const THROTTLED = '/sys/devices/platform/soc/soc:firmware/get_throttled';
const stick: Files = {
  '/sys/bus/usb/devices/2-1/idVendor': '1a6e\n',
  '/sys/bus/usb/devices/2-1/idProduct': '089a\n',
};
const zone = (celsius: number): Files => ({
  '/sys/class/thermal/thermal_zone0/temp': `${celsius * 1000}\n`,
});

check('power', [
  ['enough', {}, true, 'no under-voltage'],
  ['too weak now', { [THROTTLED]: '50005\n' }, false, 'too low now; feed the board with 5 V, 3 A'],
  ['too weak earlier', { [THROTTLED]: '10000\n' }, false, 'since the last boot'],
  [
    'too weak for a Coral stick',
    { [THROTTLED]: '1\n', ...stick },
    false,
    'libedgetpu1-std, not -max',
  ],
]);

check('cooling', [
  ['cool', {}, true, '48.3 °C, slows down at 80 °C'],
  ['near the limit of the board', zone(76), false, 'give it a heat sink'],
  ['slowed down', { [THROTTLED]: '4\n' }, false, 'slowed down now: throttled'],
  [
    'the fan stands still',
    {
      ...zone(79),
      '/sys/class/hwmon/hwmon2/name': 'pwmfan\n',
      '/sys/class/hwmon/hwmon2/fan1_input': '0\n',
    },
    false,
    'the fan stands still',
  ],
]);

describe('cooling:', () => {
  const cooling = async (files: Files, base?: Files) =>
    (await findings(files, base)).get('cooling');
  const zones = (types: Readonly<Record<string, number>>): Files =>
    Object.fromEntries(
      Object.entries(types).flatMap(([type, celsius], at) => {
        const folder = `/sys/class/thermal/thermal_zone${at}`;
        return [
          [`${folder}/type`, `${type}\n`],
          [`${folder}/temp`, `${celsius * 1000}\n`],
        ];
      }),
    );

  test('of a TX2 both clusters count, not only the GPU', async () => {
    const tx2 = { '/proc/device-tree/compatible': 'nvidia,p3310-1000\0nvidia,tegra186\0' };
    const files = zones({ 'BCPU-therm': 40, 'MCPU-therm': 94, 'GPU-therm': 38, 'PMIC-Die': 100 });
    expect(await cooling({ ...tx2, ...files })).toMatchObject({
      ok: false,
      found: '94.0 °C, slows down at 95.5 °C',
    });
  });

  test('a limit that nobody knows is not claimed', async () => {
    const x86 = { '/proc/cpuinfo': 'processor\t: 0\nvendor_id\t: V\nflags\t\t: lm avx2\n' };
    expect(await cooling(zones({ x86_pkg_temp: 50 }), x86)).toMatchObject({
      ok: true,
      found: '50.0 °C, its limit is not known, 90 °C is taken',
    });
  });
});

const card: Files = {
  '/proc/mounts': '/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n',
  '/sys/block/mmcblk0/device/type': 'SD\n',
};
const swaps = (lines: string): Files => ({
  '/proc/swaps': `Filename\tType\tSize\tUsed\tPriority\n${lines}`,
});

check('swap', [
  ['a file on a disk', {}, true, 'swap: /var/swap'],
  ['a file on a memory card', card, false, 'wears out'],
  [
    'a partition of the card',
    { ...card, ...swaps('/dev/mmcblk0p3 partition 1000 0 -2\n') },
    false,
    'wears out',
  ],
  [
    'a partition of another disk, beside a card',
    { ...card, ...swaps('/dev/sda2 partition 1000 0 -2\n') },
    true,
    'swap: /dev/sda2',
  ],
  ['compressed', { ...card, ...swaps('/dev/zram0 partition 1000 0 5\n') }, true, 'swap: zram'],
  ['none, and plenty of memory', swaps(''), true, 'swap: none'],
  [
    'a container that may use some of the memory',
    { ...swaps(''), '/sys/fs/cgroup/memory.max': `${512 * 2 ** 20}\n` },
    true,
    'at most 512 MiB for this program',
  ],
  [
    'none, and little memory',
    { ...swaps(''), '/proc/meminfo': meminfo({ total: 437_000, available: 300_000 }) },
    false,
    'zram-tools',
  ],
]);

check('clock', [
  ['kept', { '/run/systemd/timesync/synchronized': '' }, true, 'synchronized (systemd-timesyncd)'],
  ['not kept', {}, false, 'after a power cut the time is wrong'],
  ['not kept, with a battery', { '/sys/class/rtc/rtc0/name': 'rtc\n' }, false, 'set-ntp true'],
  ['in a container', { '/.dockerenv': '' }, true, 'the clock of the host'],
]);

const emmc = (lifeTime: string, preEol: string): Files => ({
  '/sys/block/mmcblk1/device/type': 'MMC\n',
  '/sys/block/mmcblk1/device/life_time': `${lifeTime}\n`,
  '/sys/block/mmcblk1/device/pre_eol_info': `${preEol}\n`,
});

check('disk-wear', [
  ['none that wears', {}, true, 'no card or eMMC'],
  ['a card does not tell', card, true, 'mmcblk0 (SD) does not tell its wear'],
  ['hardly used', emmc('0x01 0x02', '0x01'), true, 'at most 20% of its life time used'],
  ['nearly worn', emmc('0x03 0x09', '0x01'), false, 'at most 90%'],
  ['beyond its end', emmc('0x0b 0x01', '0x01'), false, 'all of its life time used'],
  ['spare blocks run out', emmc('0x02 0x02', '0x03'), false, 'nearly used up'],
  ['not defined', emmc('0x00 0x00', '0x00'), true, 'does not tell'],
  ['read-only', { '/proc/mounts': '/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n' }, false, 'remount,rw'],
]);

describe('accelerators', () => {
  const one = async (files: Files, id: string) => (await findings(files)).get(id);

  test('usable', async () => {
    const library = { '/usr/lib/aarch64-linux-gnu/libedgetpu.so.1': '' };
    expect(await one({ ...stick, ...library }, 'accelerator-edgetpu-usb')).toMatchObject({
      ok: true,
      severity: 'optional',
    });
  });

  test('there and not usable: a warning, with the fix', async () => {
    expect(await one(stick, 'accelerator-edgetpu-usb')).toMatchObject({
      ok: false,
      found: 'usb 2-1 1a6e:089a: libedgetpu.so.1 is not installed',
      mend: 'apt install libedgetpu1-std',
    });
  });

  test('two of a kind have ids of their own', async () => {
    const second = Object.entries(stick).map(([path, text]) => [path.replace('2-1', '2-2'), text]);
    const found = await findings({ ...stick, ...Object.fromEntries(second) });
    expect([...found.keys()].slice(0, 2)).toEqual([
      'accelerator-edgetpu-usb',
      'accelerator-edgetpu-usb-2',
    ]);
  });

  test('none is no fault', async () => {
    const ids = [...(await findings({})).keys()];
    expect(ids.filter((id) => id.startsWith('accelerator'))).toEqual([]);
  });
});

describe('power mode of a Jetson', () => {
  const orin: Files = {
    '/proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0',
  };
  const modes = (names: string, current: number): Files => ({
    '/etc/nvpmodel.conf': names
      .split(' ')
      .map((name, id) => `< POWER_MODEL ID=${id} NAME=${name} >\n`)
      .join(''),
    '/var/lib/nvpmodel/status': `pmode:000${current}\n`,
  });
  test.each<[string, Files, boolean, string]>([
    ['the fastest', modes('15W 25W MAXN_SUPER', 2), true, 'MAXN_SUPER'],
    ['a slower one', modes('15W 25W MAXN_SUPER', 0), false, 'with the number of MAXN_SUPER'],
    [
      'flashed without the faster ones',
      {
        ...modes('15W 7W', 0),
        '/etc/nv_boot_control.conf': 'TNSPEC 3767-300-0005-R.1-1-1-jetson-orin-nano-devkit-\n',
      },
      false,
      'flashed without its Super modes',
    ],
    ['nothing known', {}, true, 'not known'],
  ])('%s', async (_, files, ok, text) => {
    const finding = (await findings(files, orin)).get('power-mode');
    expect(finding?.ok).toBe(ok);
    expect(`${finding?.found}; ${finding?.mend ?? ''}`).toContain(text);
  });

  test('is no question for other boards', async () => {
    expect((await findings({})).has('power-mode')).toBe(false);
  });
});

test('space is asked of the disk of the folder, also where that is not there yet', async () => {
  const { ok, found } = await checkSpace('/tmp/edgefit/not/there/yet');
  expect(found).toMatch(/^\d+ MiB free for \/tmp\/edgefit\/not\/there\/yet$/);
  expect(typeof ok).toBe('boolean');
});

test('a recording is not asked for the space on this machine', async () => {
  expect((await findings({})).has('disk-space')).toBe(false);
});
