import { afterAll, afterEach, expect, jest, test } from '@jest/globals';
import { Command } from 'commander';
import { probeCommand } from '../../agent/cli/probe.ts';
import { factsSchema } from '../../agent/contracts/facts.ts';
import { makeSysroot, raspberryPi4, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);
afterEach(() => {
  jest.restoreAllMocks();
});

async function run(...args: readonly string[]): Promise<string> {
  const written: string[] = [];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  await new Command('agent').addCommand(probeCommand()).parseAsync(['probe', ...args], {
    from: 'user',
  });
  return written.join('');
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
  const facts = factsSchema.parse(JSON.parse(await run('--json', '--root', makeSysroot(busy))));
  expect(facts.board.id).toBe('rpi-4b');
});

test('the table says what matters, in 80 columns', async () => {
  const text = await run('--root', makeSysroot(busy));
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

test('a bad root is one line', async () => {
  await expect(run('--root', '/nonexistent/recording')).rejects.toMatchObject({
    kind: 'input',
    message:
      'cannot read the machine under /nonexistent/recording: no such folder; --root takes a folder that holds proc and sys',
  });
});
