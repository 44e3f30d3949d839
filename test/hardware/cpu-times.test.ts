import { afterAll, expect, test } from '@jest/globals';
import { busyShare, readCpuTimes } from '../../agent/hardware/cpu-times.ts';
import { makeSysroot, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

/** pid (command) state ppid, then fields 5 to 13, then utime stime cutime cstime. */
function stat(pid: number, parent: number, times: string, command = 'node'): string {
  return `${pid} (${command}) S ${parent} 1 1 0 -1 4194304 0 0 0 0 ${times} 20 0 11 0 100\n`;
}

test('adds up the machine and a process tree', async () => {
  const root = makeSysroot({
    // user nice system idle iowait irq softirq steal guest guest_nice
    '/proc/stat': 'cpu  100 10 50 800 40 1 2 7 30 0\ncpu0 100 10 50 800 40 1 2 7 30 0\nintr 5\n',
    '/proc/100/stat': stat(100, 1, '10 5 3 2'),
    // A child with a lower number, and a command that looks like fields.
    '/proc/90/stat': stat(90, 100, '4 0 0 0', 'a) R 7 (b'),
    '/proc/91/stat': stat(91, 90, '1 1 0 0'),
    '/proc/200/stat': stat(200, 1, '500 500 0 0'),
    '/proc/self/stat': 'not a process of its own',
  });
  await expect(readCpuTimes({ root, pid: 100 })).resolves.toEqual({
    total: 1010,
    busy: 170,
    own: 26,
  });
  await expect(readCpuTimes({ root })).resolves.toMatchObject({ own: 0 });
});

test.each([
  ['others use a quarter', { total: 1100, busy: 145, own: 30 }, 0.25],
  ['only we are busy', { total: 1100, busy: 120, own: 30 }, 0],
  ['nothing passed', { total: 1000, busy: 100, own: 10 }, 0],
  ['counters that do not add up stay in range', { total: 1001, busy: 200, own: 10 }, 1],
])('%s', (_, after, share) => {
  expect(busyShare({ total: 1000, busy: 100, own: 10 }, after)).toBe(share);
});

test('sees a busy process on this machine', async () => {
  const before = await readCpuTimes({ pid: process.pid });
  const end = performance.now() + 300;
  while (performance.now() < end);
  const after = await readCpuTimes({ pid: process.pid });
  // 300 ms are 30 ticks of 10 ms; a loaded machine may give us fewer.
  expect(after.own - before.own).toBeGreaterThanOrEqual(2);
  expect(after.total).toBeGreaterThan(before.total);
}, 10_000);

test('nonsense in /proc/stat is an error that says so', async () => {
  const root = makeSysroot({ '/proc/stat': 'garbage' });
  await expect(readCpuTimes({ root })).rejects.toMatchObject({ code: 'NONSENSE' });
});
