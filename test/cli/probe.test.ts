import { afterAll, expect, test } from '@jest/globals';
import { factsSchema } from '../../agent/contracts/facts.ts';
import { makeSysroot, raspberryPi4, removeSysroots } from '../support/sysroot.ts';
import { run } from './support.ts';

afterAll(removeSysroots);

async function probed(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await run(['probe', ...args]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

const busy = {
  ...raspberryPi4(),
  '/sys/bus/usb/devices/2-1/idVendor': '1a6e\n',
  '/sys/bus/usb/devices/2-1/idProduct': '089a\n',
  '/sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n',
  '/etc/os-release': `PRETTY_NAME="A system ${'with a very long name '.repeat(6)}"\n`,
  '/proc/meminfo': 'garbage\n',
};

test('--json prints facts and nothing else', async () => {
  const facts = factsSchema.parse(JSON.parse(await probed('--json', '--root', makeSysroot(busy))));
  expect(facts.board.id).toBe('rpi-4b');
});

test('the table says what matters, in 80 columns', async () => {
  const text = await probed('--root', makeSysroot(busy));
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  expect(text.match(/^\S.*$/gm)).toEqual([
    'Board',
    'CPU',
    'Memory',
    'Accelerators',
    'Heat',
    'Profile',
    'Unknown',
  ]);
  const flat = text.replace(/\s+/g, ' ');
  for (const part of [
    'id rpi-4b',
    'model Cortex-A72',
    'clock 900 MHz of 1800 MHz',
    'total ?',
    'edgetpu-usb (usb 2-1 1a6e:089a): libedgetpu.so.1 is not installed: apt install libedgetpu1-std',
    'cpu-thermal 48.3 °C',
    'throttled under-voltage, throttled; since boot: under-voltage, throttled',
    'int8 INT8 wins on NEON',
    'not fp16 this core has no FP16 arithmetic',
    '- memory.totalBytes: /proc/meminfo: expected a line',
  ]) {
    expect(flat).toContain(part);
  }
});

test.each([
  ['cpu', `cpu${' '.repeat(11)}48.3`],
  ['cpu-thermal-ab', 'cpu-thermal-ab  48.3'],
  ['cpu-thermal-abc', 'cpu-thermal-abc  48.3'],
  ['x'.repeat(40), `${'x'.repeat(40)} 48.3`],
])('a zone named %s stands apart from its temperature', async (zone, line) => {
  const type = { '/sys/class/thermal/thermal_zone0/type': `${zone}\n` };
  expect(await probed('--root', makeSysroot({ ...busy, ...type }))).toContain(`  ${line}`);
});

test('the table fills a wider terminal', async () => {
  const ran = await run(['probe', '--root', makeSysroot(busy)], { env: { COLUMNS: '200' } });
  expect(ran.out.split('\n').some((line) => line.length > 80)).toBe(true);
});

test('a bad root is one line', async () => {
  expect(await run(['probe', '--root', '/nonexistent/recording'])).toMatchObject({
    code: 2,
    out: '',
    err: 'agent: cannot read the machine under /nonexistent/recording: no such folder; --root takes a folder that holds proc and sys\n',
  });
});

test('--debug shows where an error came from', async () => {
  const ran = await run(['probe', '--debug', '--root', '/nonexistent/recording']);
  expect(ran.err).toMatch(/\n\s+at /);
});

test('a Jetson: its release, its libraries, and its power mode by name', async () => {
  const root = makeSysroot({
    '/proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0',
    '/etc/nv_tegra_release': '# R36 (release), REVISION: 4.3, GCID: 1\n',
    '/etc/nvpmodel.conf': '< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=7W >\n',
    '/var/lib/nvpmodel/status': 'pmode:0001\n',
    '/etc/nv_boot_control.conf': 'TNSPEC 3767-300-0005-R.1-1-1-jetson-orin-nano-devkit-\n',
  });
  const flat = (await probed('--root', root)).replace(/\s+/g, ' ');
  expect(flat).toContain('JetPack 6.2 (L4T 36.4.3)');
  expect(flat).toContain('power mode 7W (others: 15W); flashed without the Super modes');
});
