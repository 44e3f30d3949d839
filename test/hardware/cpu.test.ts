import { afterAll, describe, expect, test } from '@jest/globals';
import { readCpu } from '../../agent/hardware/cpu.ts';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { parseCpuList } from '../../agent/hardware/parse.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import {
  armCpuinfo,
  makeSysroot,
  raspberryPi4,
  removeSysroots,
  x86Cpuinfo,
  type Files,
} from '../support/sysroot.ts';

afterAll(removeSysroots);

async function cpuOf(files: Files) {
  const reading = startReading(await openTree(makeSysroot(files)));
  return { cpu: await readCpu(reading), reading };
}

const core = (number: number, part: string, features: string) => ({ number, part, features });

describe('cpuinfo', () => {
  test('big and little cores: a set of names and only the features of all', async () => {
    const { cpu } = await cpuOf({
      '/proc/cpuinfo': armCpuinfo([
        core(0, '0xd05', 'fp asimd fphp asimdhp asimddp'),
        core(1, '0xd05', 'fp asimd fphp asimdhp asimddp'),
        core(4, '0xd0b', 'fp asimd fphp asimdhp asimddp i8mm sve'),
      ]),
    });
    expect(cpu).toMatchObject({
      arch: 'arm64',
      vendor: 'ARM',
      model: 'Cortex-A55 + Cortex-A76',
      coresOnline: 3,
      features: ['asimd', 'asimddp', 'fphp', 'asimdhp'],
    });
  });

  test('`fp` is not FP16', async () => {
    const { cpu } = await cpuOf({ '/proc/cpuinfo': armCpuinfo([core(0, '0xd08', 'fp asimd')]) });
    expect(cpu.features).toEqual(['asimd']);
  });

  test('a 32-bit kernel on a 64-bit core is arm', async () => {
    const text = armCpuinfo(
      [core(0, '0xd08', 'half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva lpae crc32')],
      'Hardware\t: BCM2711\nRevision\t: c03114\n',
    ).replace('architecture: 8', 'architecture: 7');
    const { cpu } = await cpuOf({ '/proc/cpuinfo': text });
    expect(cpu).toMatchObject({ arch: 'arm', model: 'Cortex-A72', features: ['neon', 'vfpv4'] });
  });

  test('an unknown core keeps its numbers', async () => {
    const { cpu } = await cpuOf({ '/proc/cpuinfo': armCpuinfo([core(0, '0xabc', 'fp asimd')]) });
    expect(cpu.model).toBe('ARM part 0xabc');
  });

  test.each([
    ['fpu lm avx2 fma avx512_vnni avx512f', 'x64', ['avx2', 'fma', 'avx512f', 'avx512_vnni']],
    ['fpu lm avx2 avx_vnni f16c', 'x64', ['avx2', 'f16c', 'avx_vnni']],
    ['fpu sse sse2', 'ia32', []],
  ])('x86 flags "%s"', async (flags, arch, features) => {
    const { cpu } = await cpuOf({ '/proc/cpuinfo': x86Cpuinfo(2, flags) });
    expect(cpu).toMatchObject({ arch, features, coresOnline: 2, vendor: 'GenuineIntel' });
    expect(cpu.model).toBe('Test CPU @ 2.00GHz');
  });

  test('without cpuinfo the loader in the tree tells the architecture', async () => {
    const { cpu, reading } = await cpuOf({ '/lib/ld-linux-aarch64.so.1': '' });
    expect(cpu).toMatchObject({ arch: 'arm64', model: null, features: [], coresOnline: null });
    expect(reading.sources.get('cpu.arch')).toBe('/lib/ld-linux-aarch64.so.1');
  });
});

/** /proc/self/status of a process that may run on these CPUs. */
function status(list: string): Files {
  const lines = [
    'Name:\tnode',
    'Cpus_allowed:\tff',
    `Cpus_allowed_list:\t${list}`,
    'Mems_allowed_list:\t0',
  ];
  return { '/proc/self/status': `${lines.join('\n')}\n` };
}

describe('cores', () => {
  const cpuinfo = { '/proc/cpuinfo': x86Cpuinfo(8, 'lm avx2') };
  const online = { '/sys/devices/system/cpu/online': '0-7\n' };

  test('online numbers may have holes', async () => {
    const { cpu } = await cpuOf({ ...cpuinfo, '/sys/devices/system/cpu/online': '0,3-5\n' });
    expect(cpu).toMatchObject({ coresOnline: 4, coresUsable: 4 });
  });

  test('isolated cores are not used', async () => {
    const { cpu } = await cpuOf({
      ...cpuinfo,
      ...online,
      '/sys/devices/system/cpu/isolated': '6-7\n',
    });
    expect(cpu).toMatchObject({ coresOnline: 8, coresUsable: 6 });
  });

  const v2 = { '/proc/mounts': 'cgroup /sys/fs/cgroup cgroup2 rw 0 0\n' };
  const v1 = { '/proc/mounts': 'tmpfs /sys/fs/cgroup tmpfs ro,mode=755 0 0\n' };
  test.each([
    ['version 2 quota', { ...v2, '/sys/fs/cgroup/cpu.max': '150000 100000\n' }, 1.5],
    ['version 2 without quota', { ...v2, '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, 8],
    [
      'version 2 quota of the parent',
      {
        ...v2,
        '/proc/self/cgroup': '0::/a.slice/b.service\n',
        '/sys/fs/cgroup/a.slice/cpu.max': '200000 100000\n',
        '/sys/fs/cgroup/a.slice/b.service/cpu.max': '300000 100000\n',
      },
      2,
    ],
    [
      'version 1 quota',
      {
        ...v1,
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '50000\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      0.5,
    ],
    [
      'version 1 without quota',
      {
        ...v1,
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      8,
    ],
    ['cpuset', { ...v2, '/sys/fs/cgroup/cpuset.cpus.effective': '0-3\n' }, 4],
    [
      'cpuset smaller than the quota',
      {
        ...v2,
        '/sys/fs/cgroup/cpuset.cpus.effective': '1\n',
        '/sys/fs/cgroup/cpu.max': '400000 100000\n',
      },
      1,
    ],
  ])('%s', async (_, files, usable) => {
    const { cpu } = await cpuOf({ ...cpuinfo, ...online, ...files });
    expect(cpu).toMatchObject({ coresOnline: 8, coresUsable: usable });
  });

  describe('affinity', () => {
    const isolated = { '/sys/devices/system/cpu/isolated': '6-7\n' };
    const set = { ...v2, '/sys/fs/cgroup/cpuset.cpus.effective': '0-3\n' };

    test.each<[string, Files, number, string]>([
      ['one core', status('5'), 1, '/proc/self/status'],
      ['half of the cpuset', { ...set, ...status('2-5') }, 2, '/proc/self/status'],
      [
        'all of the cpuset',
        { ...set, ...status('0-3') },
        4,
        '/sys/fs/cgroup/cpuset.cpus.effective',
      ],
      ['isolated cores', { ...isolated, ...status('6-7') }, 2, '/proc/self/status'],
      ['none that is online', status('9'), 8, '/sys/devices/system/cpu/online'],
      ['nonsense', status('a'), 8, '/sys/devices/system/cpu/online'],
    ])('%s', async (_, files, usable, source) => {
      const root = makeSysroot({ ...cpuinfo, ...online, ...files });
      const reading = startReading({ ...(await openTree(root)), live: true });
      expect(await readCpu(reading)).toMatchObject({ coresOnline: 8, coresUsable: usable });
      expect(reading.sources.get('cpu.coresUsable')).toBe(source);
    });

    test('of the process that made a recording says nothing', async () => {
      const { cpu } = await cpuOf({ ...cpuinfo, ...online, ...status('5') });
      expect(cpu.coresUsable).toBe(8);
    });
  });

  test.each([
    ['0-3\n', [0, 1, 2, 3]],
    ['0,3-5', [0, 3, 4, 5]],
    ['\n', []],
  ])('list %j', (text, cpus) => expect(parseCpuList(text)).toEqual(cpus));

  test.each(['3-0', 'x', '0-', '1,,2', '0-999999'])('refuses the list %j', (text) => {
    expect(() => parseCpuList(text)).toThrow('expected a list of CPUs');
  });
});

describe('clocks', () => {
  test('are in Hz; nothing caps them', async () => {
    const { cpu, reading } = await cpuOf(raspberryPi4());
    expect(cpu).toMatchObject({
      governor: 'ondemand',
      maxFrequencyHz: 1_800_000_000,
      currentFrequencyHz: 900_000_000,
      frequencyCappedToHz: null,
    });
    expect(reading.sources.get('cpu.currentFrequencyHz')).toBe(
      '/sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq',
    );
  });

  test('a power mode that caps the clock is seen', async () => {
    const cap = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq';
    const { cpu, reading } = await cpuOf({ ...raspberryPi4(), [cap]: '1344000\n' });
    expect(cpu.frequencyCappedToHz).toBe(1_344_000_000);
    expect(reading.sources.get('cpu.frequencyCappedToHz')).toBe(cap);
  });

  test('no cpufreq directory is a reason, not an error', async () => {
    const { cpu, reading } = await cpuOf({ '/proc/cpuinfo': x86Cpuinfo(1, 'lm') });
    expect(cpu.governor).toBeNull();
    expect(reading.unknown.get('cpu.governor')).toBe('no cpufreq directory');
  });
});
