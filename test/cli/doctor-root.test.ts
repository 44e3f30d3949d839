import { afterAll, expect, test } from '@jest/globals';
import { doctorSchema } from '../../agent/contracts/doctor.ts';
import { makeSysroot, raspberryPi4, removeSysroots } from '../support/sysroot.ts';
import { run } from './support.ts';

afterAll(removeSysroots);

const weak = {
  ...raspberryPi4(),
  '/sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n',
};

test('a recording is asked what its files answer, and nothing of this machine', async () => {
  const { code, out } = await run(['doctor', '--json', '--root', makeSysroot(weak)]);
  const { checks, healthy } = doctorSchema.parse(JSON.parse(out));
  // Warnings keep nobody from working.
  expect({ code, healthy }).toEqual({ code: 0, healthy: true });
  expect(checks.map(({ id, level }) => `${id} ${level}`)).toEqual([
    'power warning',
    'cooling warning',
    'swap ok',
    'clock warning',
    'disk-wear ok',
  ]);
});

test('for people: marks, the fix, and the number of warnings, in 80 columns', async () => {
  const { out } = await run(['doctor', '--root', makeSysroot(weak)]);
  expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
  const flat = out.replaceAll(/\s+/g, ' ');
  expect(flat).toContain(
    'warning power supply the voltage is too low now To mend it: feed the board with 5 V, 3 A (USB-C), by a short cable',
  );
  expect(flat).toContain('Everything essential is here; 3 warnings.');
});

test('a bad root is bad input', async () => {
  expect(await run(['doctor', '--root', '/nonexistent'])).toMatchObject({ code: 2, out: '' });
});
