import { afterAll, expect, test } from '@jest/globals';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { fillFromSystem } from '../../agent/hardware/live.ts';
import { readDevice } from '../../agent/hardware/probe.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import { makeSysroot, raspberryPi4, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

test('what no file told is asked from the system', async () => {
  const reading = startReading(await openTree(undefined));
  const nothing = await readDevice({ root: makeSysroot({}) });
  const facts = await fillFromSystem(nothing, reading);
  expect(facts.cpu.arch).toBe(process.arch);
  expect(facts.cpu.coresOnline).toBeGreaterThan(0);
  expect(facts.memory.totalBytes).toBeGreaterThan(2 ** 20);
  expect(reading.sources.get('memory.totalBytes')).toBe('systeminformation');
}, 30_000);

test('what the files told stays as it is', async () => {
  const reading = startReading(await openTree(undefined));
  const known = await readDevice({ root: makeSysroot(raspberryPi4()) });
  await expect(fillFromSystem(known, reading)).resolves.toBe(known);
});
