import { afterAll, expect, test } from '@jest/globals';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { readMemory, usableMemoryBytes } from '../../agent/hardware/memory.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import { makeSysroot, meminfo, removeSysroots, type Files } from '../support/sysroot.ts';

afterAll(removeSysroots);

const KIB = 1024;
const basic = { '/proc/meminfo': meminfo({ total: 4_000_000, available: 3_000_000 }) };
const v2 = { '/proc/mounts': 'cgroup /sys/fs/cgroup cgroup2 rw 0 0\n' };
const v1 = { '/proc/mounts': 'tmpfs /sys/fs/cgroup tmpfs ro,mode=755 0 0\n' };

async function memoryOf(files: Files) {
  const reading = startReading(await openTree(makeSysroot(files)));
  return { memory: await readMemory(reading), reading };
}

test('available is MemAvailable, not MemFree', async () => {
  const { memory, reading } = await memoryOf(basic);
  expect(memory).toEqual({
    totalBytes: 4_000_000 * KIB,
    availableBytes: 3_000_000 * KIB,
    limitBytes: null,
    swapBytes: 0,
  });
  expect(reading.sources.get('memory.availableBytes')).toBe('/proc/meminfo');
  expect([...reading.unknown]).toEqual([]);
});

test('a kernel without MemAvailable leaves it unknown', async () => {
  const text = basic['/proc/meminfo'].replace('MemAvailable', 'Other');
  const { memory, reading } = await memoryOf({ '/proc/meminfo': text });
  expect(memory).toMatchObject({ totalBytes: 4_000_000 * KIB, availableBytes: null });
  expect(reading.unknown.get('memory.availableBytes')).toContain('MemAvailable');
});

test.each([
  ['version 2', { ...v2, '/sys/fs/cgroup/memory.max': '536870912\n' }, 536_870_912],
  ['version 2, none', { ...v2, '/sys/fs/cgroup/memory.max': 'max\n' }, null],
  [
    'version 2, the parent is stricter',
    {
      ...v2,
      '/proc/self/cgroup': '0::/a/b\n',
      '/sys/fs/cgroup/a/memory.max': '1000000\n',
      '/sys/fs/cgroup/a/b/memory.max': 'max\n',
    },
    1_000_000,
  ],
  [
    'version 1',
    { ...v1, '/sys/fs/cgroup/memory/memory.limit_in_bytes': '268435456\n' },
    268_435_456,
  ],
  [
    'version 1, none',
    { ...v1, '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n' },
    null,
  ],
  [
    'version 1, its group is not visible in the container',
    {
      ...v1,
      '/proc/self/cgroup': '5:memory:/docker/0123\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '268435456\n',
    },
    268_435_456,
  ],
])('cgroup limit: %s', async (_, files, limit) => {
  const { memory, reading } = await memoryOf({ ...basic, ...files });
  expect(memory.limitBytes).toBe(limit);
  expect(reading.sources.has('memory.limitBytes')).toBe(limit !== null);
});

test('zram is not swap capacity', async () => {
  const table = 'Filename\t\tType\t\tSize\t\tUsed\t\tPriority\n';
  const { memory } = await memoryOf({
    ...basic,
    '/proc/swaps': `${table}/dev/zram0   partition 1014808 0 5\n/dev/zram1 partition\t1014808 0 5\n/var/swap file 102396 0 -2\n`,
  });
  expect(memory.swapBytes).toBe(102_396 * KIB);
});

test('swap of unknown kind stays unknown', async () => {
  const text = basic['/proc/meminfo'].replace(/SwapTotal: *0/, 'SwapTotal: 2000');
  const { memory, reading } = await memoryOf({ '/proc/meminfo': text });
  expect(memory.swapBytes).toBeNull();
  expect(reading.unknown.get('memory.swapBytes')).toContain('zram');
});

test.each([
  [3000, 500, 500],
  [3000, null, 3000],
  [null, 500, 500],
  [null, null, null],
])('usable memory of %p available under a limit of %p', (availableBytes, limitBytes, usable) => {
  const memory = { totalBytes: null, swapBytes: null, availableBytes, limitBytes };
  expect(usableMemoryBytes(memory)).toBe(usable);
});
