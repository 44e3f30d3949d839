// Every trap that boards are known to set for a probe, by the file that it is in. A row names the trap,
// gives a small tree written from the documented format, and says what the probe must make of it.
import { afterAll, describe, expect, test } from '@jest/globals';
import type { Facts } from '../../agent/contracts/facts.ts';
import { probe } from '../../agent/hardware/probe.ts';
import {
  armCpuinfo,
  makeSysroot,
  meminfo,
  removeSysroots,
  x86Cpuinfo,
  type Files,
} from '../support/sysroot.ts';

afterAll(removeSysroots);

type Row = readonly [trap: string, files: Files, expected: object];

function check(rows: readonly Row[]): void {
  test.each(rows)('%s', async (_, files, expected) => {
    expect(view(await probe({ root: makeSysroot(files) }))).toMatchObject(expected);
  });
}

/** Facts, with what a row asks for by one word. */
function view(facts: Facts) {
  return {
    ...facts,
    id: facts.board.id,
    missing: Object.fromEntries(facts.unknown.map(({ fact, why }) => [fact, why])),
    kinds: facts.accelerators.map(({ kind }) => kind),
    problems: facts.accelerators.map(({ problem }) => problem ?? 'none'),
  };
}

const has = (text: string) => expect.stringContaining(text) as unknown;

function tree(compatible: string, model: string): Files {
  return {
    '/proc/device-tree/compatible': compatible
      .split(' ')
      .map((one) => `${one}\0`)
      .join(''),
    '/proc/device-tree/model': `${model}\0`,
  };
}

const core = (number: number, part: string, features: string) => ({ number, part, features });
const A57 = 'fp asimd evtstrm aes pmull sha1 sha2 crc32';
const A76 = 'fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid asimddp';
const ARM32 = 'half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt lpae evtstrm crc32';
const cpu = (part: string, features: string, count = 4): Files => ({
  '/proc/cpuinfo': armCpuinfo(
    Array.from({ length: count }, (_, number) => core(number, part, features)),
  ),
});

describe('2a device tree', () => {
  const names: readonly (readonly [compatible: string, model: string, id: string])[] = [
    ['nvidia,p2597-0000+p3310-1000 nvidia,tegra186', 'quill', 'jetson-tx2'],
    ['nvidia,p3509-0000+p3636-0001 nvidia,tegra186', 'lanai-3636', 'jetson-tx2'],
    ['nvidia,p2822-0000+p2888-0001 nvidia,tegra194', 'jetson-xavier', 'jetson-agx-xavier'],
    ['nvidia,p2822-0000+p2888-0004 nvidia,tegra194', 'Jetson-AGX', 'jetson-agx-xavier'],
    ['nvidia,p3509-0000+p3668-0000 nvidia,tegra194', 'NVIDIA Jetson Xavier NX', 'jetson-xavier-nx'],
    ['nvidia,p3737-0000+p3701-0000 nvidia,tegra234', 'Jetson AGX Orin', 'jetson-agx-orin'],
    ['nvidia,p3737-0000+p3701-0005 nvidia,tegra234', 'NVIDIA Orin Jetson-Small', 'jetson-agx-orin'],
    [
      'nvidia,p3768-0000+p3767-0000 nvidia,tegra234',
      'NVIDIA Orin NX Developer Kit',
      'jetson-orin-nx',
    ],
    ['nvidia,p4071-0000+p3834-0008 nvidia,tegra264', 'NVIDIA Jetson AGX Thor', 'jetson-agx-thor'],
    ['raspberrypi,3-model-b-plus brcm,bcm2837', 'Raspberry Pi 4 Model B', 'rpi-3b-plus'],
    ['raspberrypi,model-zero-2-w brcm,bcm2837', 'Raspberry Pi 3 Model B', 'rpi-zero-2w'],
    ['raspberrypi,5-compute-module brcm,bcm2712', 'Compute Module 5 Lite Rev 1.0', 'rpi-cm5'],
    ['raspberrypi,500 brcm,bcm2712', 'Raspberry Pi 500 Rev 1.0', 'rpi-500'],
  ];
  test.each(names)('compatible decides, not the name: %s (%s)', async (compatible, model, id) => {
    const facts = await probe({ root: makeSysroot(tree(compatible, model)) });
    expect(facts.board).toMatchObject({ id, model });
  });

  test.each([
    ['0000', 'jetson-orin-nx'],
    ['0001', 'jetson-orin-nx'],
    ['0003', 'jetson-orin-nano'],
    ['0004', 'jetson-orin-nano'],
    ['0005', 'jetson-orin-nano'],
    ['0005-super', 'jetson-orin-nano'],
    ['0000-super', 'jetson-orin-nx'],
  ])('the SKU of p3767 tells Orin NX from Orin Nano: %s', async (sku, id) => {
    const files = tree(`nvidia,p3768-0000+p3767-${sku} nvidia,tegra234`, 'Jetson');
    expect((await probe({ root: makeSysroot(files) })).board.id).toBe(id);
  });

  check([
    [
      'strings end with NUL and there is no newline; the empty tail is dropped',
      { '/proc/device-tree/compatible': 'raspberrypi,5-model-b\0brcm,bcm2712\0' },
      { board: { id: 'rpi-5', compatible: ['raspberrypi,5-model-b', 'brcm,bcm2712'] } },
    ],
    [
      'JetPack 5 ends with nvidia,tegra23x: the SoC is any entry, not the last',
      tree('nvidia,p3768-0000+p3767-0005 nvidia,tegra234 nvidia,tegra23x', 'x'),
      { id: 'jetson-orin-nano', jetson: { soc: 'tegra234' }, kinds: ['nvidia-gpu'] },
    ],
    [
      'the carrier says nothing: an Orin NX on the carrier of the Xavier NX',
      tree('nvidia,p3509-0000+p3767-0001 nvidia,tegra234', 'x'),
      { id: 'jetson-orin-nx', kinds: ['nvidia-gpu', 'nvidia-dla'] },
    ],
    [
      'a carrier of somebody else: what was flashed names the module',
      {
        ...tree('acme,carrier nvidia,tegra234', 'Acme box'),
        '/etc/nv_boot_control.conf': 'TNSPEC 3767-300-0005-R.1-1-1-acme-\nTEGRA_CHIPID 0x23\n',
      },
      { id: 'jetson-orin-nano', jetson: { superMode: false } },
    ],
    [
      'a Jetson module that nobody has seen is a Jetson still',
      { ...cpu('0xd42', A76), ...tree('nvidia,p9999-0000+p9998-0000 nvidia,tegra234', 'x') },
      { id: 'generic-arm64', kinds: ['nvidia-gpu'], profile: { id: 'jetson' } },
    ],
    [
      'TX1 shares its SoC with the Nano, and is none',
      { ...cpu('0xd07', A57), ...tree('nvidia,p2371-2180 nvidia,tegra210', 'jetson_tx1') },
      { id: 'generic-arm64', profile: { id: 'jetson' } },
    ],
    [
      'the mainline kernel names the kit by one number',
      tree('nvidia,p3450-0000 nvidia,tegra210', 'NVIDIA Jetson Nano Developer Kit'),
      { id: 'jetson-nano' },
    ],
    [
      'DMI lies: an Orin Nano kit whose product name is Orin NX',
      {
        ...tree('nvidia,p3768-0000+p3767-0005 nvidia,tegra234', 'NVIDIA Orin Nano'),
        '/sys/class/dmi/id/product_name': 'NVIDIA Orin NX Developer Kit\n',
      },
      { board: { id: 'jetson-orin-nano', model: 'NVIDIA Orin Nano' } },
    ],
    [
      'DMI does not mean x86',
      { ...cpu('0xd42', A76), '/sys/class/dmi/id/product_name': 'Some ARM server\n' },
      { id: 'generic-arm64', cpu: { arch: 'arm64' } },
    ],
    [
      'Coral Dev Board, Mendel',
      tree('fsl,imx8mq-phanbell fsl,imx8mq', 'Freescale i.MX8MQ Phanbell'),
      { id: 'coral-dev-board' },
    ],
    [
      'Coral Dev Board, mainline',
      tree('google,imx8mq-phanbell fsl,imx8mq', 'Google i.MX8MQ Phanbell'),
      { id: 'coral-dev-board' },
    ],
    [
      'another i.MX8MQ board is no Coral',
      { ...cpu('0xd03', A57), ...tree('fsl,imx8mq-evk fsl,imx8mq', 'NXP i.MX8MQ EVK') },
      { id: 'generic-arm64' },
    ],
    [
      'Coral Dev Board Mini shares its compatible string with tablets',
      tree('mediatek,mt8167', 'Google Coral MT8167'),
      { id: 'coral-dev-board-mini' },
    ],
    [
      'a tablet with the same SoC',
      { ...cpu('0xd04', A57), ...tree('mediatek,mt8167', 'Tablet') },
      { id: 'generic-arm64' },
    ],
    [
      'a container hides the device tree of a Jetson: the number of its chip remains',
      {
        ...cpu('0xd42', A76),
        '/sys/module/tegra_fuse/parameters/tegra_chip_id': '35\n',
        '/usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0': '',
      },
      {
        id: 'generic-arm64',
        kinds: ['nvidia-gpu'],
        problems: ['none'],
        jetson: { soc: 'tegra234' },
        profile: { id: 'jetson' },
      },
    ],
    [
      'the same by the SoC bus, with one module on that SoC',
      {
        ...cpu('0xd07', A57),
        '/sys/devices/soc0/family': 'Tegra\n',
        '/sys/devices/soc0/soc_id': '24\n',
      },
      { id: 'jetson-tx2', jetson: { soc: 'tegra186' } },
    ],
    [
      'chip number 35 of another maker',
      {
        ...cpu('0xd07', A57),
        '/sys/devices/soc0/family': 'Snapdragon\n',
        '/sys/devices/soc0/soc_id': '35\n',
      },
      { id: 'generic-arm64', kinds: [] },
    ],
    [
      'or the release that the container runtime hands in',
      {
        ...cpu('0xd42', A76),
        '/etc/nv_tegra_release': '# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n',
      },
      { kinds: ['nvidia-gpu'], jetson: { soc: null, l4t: '36.4.3' } },
    ],
    [
      'a carrier of somebody else on JetPack 4: the ids of the boards tell',
      {
        ...tree('acme,carrier nvidia,tegra210', 'Acme box'),
        '/proc/device-tree/nvidia,boardids': '3448:0002:400\0',
      },
      { id: 'jetson-nano' },
    ],
    [
      'or the name of its device tree',
      {
        ...tree('acme,carrier nvidia,tegra194', 'Acme box'),
        '/proc/device-tree/nvidia,dtsfilename': '/x/tegra194-p3668-0001-p3509-0000.dts\0',
      },
      { id: 'jetson-xavier-nx' },
    ],
    [
      'AGX Xavier on L4T 32.1',
      tree('nvidia,galen nvidia,jetson-xavier nvidia,tegra194', 'jetson-xavier'),
      { id: 'jetson-agx-xavier', kinds: ['nvidia-gpu', 'nvidia-dla'] },
    ],
    [
      'a Tegra from before the Jetsons that TensorRT runs on',
      tree('nvidia,jetson-tk1 nvidia,tegra124', 'NVIDIA Tegra124 Jetson TK1'),
      { kinds: [] },
    ],
    [
      'the same by the SoC bus',
      {
        ...cpu('0xd07', A57),
        '/sys/devices/soc0/family': 'Tegra\n',
        '/sys/devices/soc0/soc_id': '64\n',
      },
      { id: 'generic-arm64', kinds: [] },
    ],
    [
      'the name of the mainboard where nobody filled in that of the product',
      {
        '/proc/cpuinfo': x86Cpuinfo(4, 'lm avx2'),
        '/sys/class/dmi/id/product_name': 'To Be Filled By O.E.M.\n',
        '/sys/class/dmi/id/board_name': 'B650M-ITX\n',
      },
      { board: { model: 'B650M-ITX' } },
    ],
    [
      'no device tree in a container: the revision code of the Pi remains',
      {
        '/proc/cpuinfo': armCpuinfo([core(0, '0xd0b', A76)], 'Revision\t: d04170\n'),
      },
      { id: 'rpi-5', board: { compatible: [] } },
    ],
    [
      'no device tree on x86',
      { '/proc/cpuinfo': x86Cpuinfo(4, 'lm avx2 fma') },
      { id: 'generic-x86-64', board: { compatible: [] } },
    ],
  ]);
});

describe('2b cpuinfo', () => {
  check([
    [
      'TX2: numbers with holes, two kinds of core, only what both can',
      {
        '/proc/cpuinfo': armCpuinfo([
          core(0, '0xd07', A57),
          core(3, '0xd07', `${A57} asimddp`),
          core(4, '0x003', A57),
        ]).replace(
          '0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0x003',
          '0x4e\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0x003',
        ),
      },
      { cpu: { coresOnline: 3, model: 'Cortex-A57 + Denver2', features: ['asimd'] } },
    ],
    [
      'a 32-bit kernel on a 64-bit core has no asimd names, and no onnxruntime',
      {
        '/proc/cpuinfo': armCpuinfo(
          [0, 1, 2, 3].map((number) => core(number, '0xd08', ARM32)),
          'Hardware\t: BCM2711\nRevision\t: c03114\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n',
        ).replaceAll('architecture: 8', 'architecture: 7'),
        ...tree('raspberrypi,4-model-b brcm,bcm2711', 'Raspberry Pi 4'),
      },
      {
        cpu: { arch: 'arm', model: 'Cortex-A72', features: ['neon', 'vfpv4'] },
        profile: { id: 'rpi-4b', runtimes: ['tflite'] },
      },
    ],
    [
      'a 32-bit system on a 64-bit kernel: programs load 32-bit libraries',
      {
        ...cpu('0xd08', 'fp asimd evtstrm crc32 cpuid'),
        ...tree('raspberrypi,4-model-b brcm,bcm2711', 'Raspberry Pi 4'),
        '/lib/ld-linux-armhf.so.3': '',
        '/usr/lib/arm-linux-gnueabihf/libedgetpu.so.1': '',
        '/sys/bus/usb/devices/1-1/idVendor': '18d1\n',
        '/sys/bus/usb/devices/1-1/idProduct': '9302\n',
      },
      {
        cpu: { arch: 'arm64', userland: 'arm', features: ['asimd'] },
        profile: { runtimes: ['tflite'] },
        problems: ['none'],
      },
    ],
    [
      'both architectures installed: programs are those of the kernel',
      {
        ...cpu('0xd08', A57),
        '/lib/ld-linux-armhf.so.3': '',
        '/lib/ld-linux-aarch64.so.1': '',
      },
      { cpu: { arch: 'arm64' }, profile: { runtimes: ['tflite', 'onnxruntime'] } },
    ],
    [
      'no model name (JetPack 6): the part number names the core',
      cpu('0xd42', A76, 6),
      { cpu: { model: 'Cortex-A78AE', coresOnline: 6 } },
    ],
    [
      '"Hardware: BCM2835" is on every Pi and says nothing',
      {
        '/proc/cpuinfo': armCpuinfo([core(0, '0xd0b', A76)], 'Hardware\t: BCM2835\n'),
        ...tree('raspberrypi,5-model-b brcm,bcm2712', 'Raspberry Pi 5'),
      },
      { id: 'rpi-5', cpu: { model: 'Cortex-A76' } },
    ],
    [
      'an old arm64 kernel: no empty lines, one line of features, with the 32-bit words too',
      {
        '/proc/cpuinfo':
          'Processor\t: AArch64 Processor rev 4 (aarch64)\n' +
          'processor\t: 0\nprocessor\t: 1\nprocessor\t: 2\nprocessor\t: 3\n' +
          'Features\t: fp asimd aes pmull sha1 sha2 crc32 wp half thumb fastmult vfp edsp neon vfpv3 vfpv4\n' +
          'CPU implementer\t: 0x41\nCPU architecture: AArch64\nCPU variant\t: 0x0\nCPU part\t: 0xd03\n' +
          'CPU revision\t: 4\n\nHardware\t: Amlogic\n',
      },
      { id: 'generic-arm64', cpu: { arch: 'arm64', model: 'Cortex-A53', coresOnline: 4 } },
    ],
    [
      'RISC-V names its core elsewhere',
      {
        '/proc/cpuinfo':
          'processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n',
      },
      { id: 'generic', cpu: { arch: 'riscv64', model: 'sifive,u74-mc', coresOnline: 1 } },
    ],
    [
      'a 32-bit system on an x86-64 kernel',
      { '/proc/cpuinfo': x86Cpuinfo(2, 'lm ssse3'), '/lib/ld-linux.so.2': '' },
      { cpu: { arch: 'x64', userland: 'ia32' }, profile: { runtimes: ['tflite'] } },
    ],
    ['0xd4f is Neoverse V2', cpu('0xd4f', `${A76} sve`), { cpu: { model: 'Neoverse-V2' } }],
    ['0xd83 is Neoverse V3AE', cpu('0xd83', A76), { cpu: { model: 'Neoverse-V3AE' } }],
    ['`fp` is not FP16', cpu('0xd08', 'fp asimd crc32'), { cpu: { features: ['asimd'] } }],
    [
      'fphp with asimdhp is FP16, asimddp the dot product',
      cpu('0xd0b', A76),
      { cpu: { features: ['asimd', 'asimddp', 'fphp', 'asimdhp'] } },
    ],
    [
      'Carmel has FP16 and no dot product',
      cpu('0x004', 'fp asimd fphp asimdhp'),
      { cpu: { features: ['asimd', 'fphp', 'asimdhp'] } },
    ],
    [
      'i8mm, bf16 and sve of newer servers',
      cpu('0xd40', `${A76} sve i8mm bf16`),
      { cpu: { features: ['asimd', 'asimddp', 'fphp', 'asimdhp', 'i8mm', 'bf16', 'sve'] } },
    ],
    [
      'avx512_vnni with an underscore',
      { '/proc/cpuinfo': x86Cpuinfo(2, 'lm avx2 fma avx512f avx512_vnni') },
      { profile: { id: 'generic-x86-64-vnni' } },
    ],
    [
      'avx_vnni of an N100, without AVX-512',
      { '/proc/cpuinfo': x86Cpuinfo(4, 'lm avx2 fma f16c avx_vnni') },
      { profile: { id: 'generic-x86-64-vnni' } },
    ],
    [
      'avx512vnni is no flag of the kernel',
      { '/proc/cpuinfo': x86Cpuinfo(2, 'lm avx2 fma avx512vnni') },
      { profile: { id: 'generic-x86-64' } },
    ],
  ]);

  test.each([
    ['902120', 'rpi-zero-2w'],
    ['a02082', 'rpi-3b'],
    ['a020d3', 'rpi-3b-plus'],
    ['9020e0', 'rpi-3a-plus'],
    ['c03115', 'rpi-4b'],
    ['c03130', 'rpi-400'],
    ['b03140', 'rpi-cm4'],
    ['e04171', 'rpi-5'],
    // A memory size, a maker and a revision that no list has: the type is read by its bits.
    ['f0f17f', 'rpi-5'],
    ['d04180', 'rpi-cm5'],
    ['c041a0', 'rpi-cm5'],
    ['d04190', 'rpi-500'],
    // Old style: bit 23 is clear.
    ['000e', 'generic-arm64'],
  ])('revision %s is read by its bits: %s', async (revision, id) => {
    const text = armCpuinfo([core(0, '0xd08', 'fp asimd')], `Revision\t: ${revision}\n`);
    expect((await probe({ root: makeSysroot({ '/proc/cpuinfo': text }) })).board.id).toBe(id);
  });
});

describe('2c memory', () => {
  const GIB = 2 ** 30;
  const memory: Files = { '/proc/meminfo': meminfo({ total: 4_000_000, available: 3_000_000 }) };
  const v2 = { ...memory, '/proc/mounts': 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n' };
  const v1 = {
    ...memory,
    '/proc/cpuinfo': x86Cpuinfo(4, 'lm avx2'),
    '/proc/mounts':
      'tmpfs /sys/fs/cgroup tmpfs ro,mode=755 0 0\n' +
      'cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n' +
      'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n' +
      'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n',
  };
  const swaps = (lines: string) => `Filename\tType\tSize\tUsed\tPriority\n${lines}`;

  check([
    [
      'MemAvailable counts, MemFree does not',
      memory,
      { memory: { totalBytes: 4_000_000 * 1024, availableBytes: 3_000_000 * 1024 } },
    ],
    [
      'a Jetson lists memory of its GPU too, which is part of the same',
      {
        '/proc/meminfo': `${memory['/proc/meminfo']}NvMapMemFree: 123 kB\nNvMapMemUsed: 456 kB\n`,
      },
      { memory: { totalBytes: 4_000_000 * 1024, availableBytes: 3_000_000 * 1024 } },
    ],
    [
      'zram, one for each core, is for emergencies and no capacity',
      {
        ...memory,
        '/proc/swaps': swaps(
          '/dev/zram0 partition 1014808 0 5\n/dev/zram1 partition 1014808 0 5\n',
        ),
      },
      { memory: { swapBytes: 0 } },
    ],
    [
      'version 2, limited',
      { ...v2, '/sys/fs/cgroup/memory.max': `${GIB}\n` },
      { memory: { limitBytes: GIB }, os: { container: true } },
    ],
    [
      'version 2, "max"',
      { ...v2, '/sys/fs/cgroup/memory.max': 'max\n' },
      { memory: { limitBytes: null } },
    ],
    [
      'version 1, limited, beside a mount of version 2',
      { ...v1, '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${GIB}\n` },
      { memory: { limitBytes: GIB } },
    ],
    [
      'version 1 says "no limit" with a huge number',
      { ...v1, '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n' },
      { memory: { limitBytes: null } },
    ],
    [
      'a recording without the list of mounts: the file tells the version',
      { ...memory, '/sys/fs/cgroup/memory.max': `${GIB}\n` },
      { memory: { limitBytes: GIB } },
    ],
    [
      'the same of version 1, with a folder for two controllers',
      {
        ...memory,
        '/proc/cpuinfo': x86Cpuinfo(4, 'lm avx2'),
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '150000\n',
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      },
      { cpu: { coresUsable: 1.5 } },
    ],
    [
      'what was mounted last at a place is what is there',
      {
        ...memory,
        '/proc/mounts':
          'tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n',
        '/sys/fs/cgroup/memory.max': `${GIB}\n`,
      },
      { memory: { limitBytes: GIB } },
    ],
    [
      'version 1: a quota on a mount that two controllers share',
      {
        ...v1,
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '250000\n',
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      },
      { cpu: { coresOnline: 4, coresUsable: 2.5 } },
    ],
    [
      'version 1: no quota is -1',
      {
        ...v1,
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      },
      { cpu: { coresUsable: 4 } },
    ],
    [
      'version 1: a cpuset',
      { ...v1, '/sys/fs/cgroup/cpuset/cpuset.cpus': '0,2\n' },
      { cpu: { coresUsable: 2 } },
    ],
    [
      'version 2: quota and cpuset',
      {
        ...v2,
        '/proc/cpuinfo': x86Cpuinfo(8, 'lm avx2'),
        '/sys/fs/cgroup/cpu.max': '150000 100000\n',
        '/sys/fs/cgroup/cpuset.cpus.effective': '0-3\n',
      },
      { cpu: { coresOnline: 8, coresUsable: 1.5 } },
    ],
  ]);
});

describe('2d clocks and cores', () => {
  const folder = '/sys/devices/system/cpu';
  const clock = (maxKhz: number, capKhz: number): Files => ({
    [`${folder}/cpu0/cpufreq/cpuinfo_max_freq`]: `${maxKhz}\n`,
    [`${folder}/cpu0/cpufreq/scaling_max_freq`]: `${capKhz}\n`,
    [`${folder}/cpu0/cpufreq/scaling_cur_freq`]: `${capKhz}\n`,
    [`${folder}/cpu0/cpufreq/scaling_governor`]: 'schedutil\n',
  });
  check([
    [
      'offline cores leave holes',
      { ...cpu('0xd07', A57), [`${folder}/online`]: '0,3-5\n' },
      { cpu: { coresOnline: 4, coresUsable: 4 } },
    ],
    [
      'isolated cores (TX2: isolcpus=1-2) are not used',
      { ...cpu('0xd07', A57), [`${folder}/online`]: '0-5\n', [`${folder}/isolated`]: '1-2\n' },
      { cpu: { coresOnline: 6, coresUsable: 4 } },
    ],
    [
      'an empty line of isolated cores',
      { ...cpu('0xd07', A57), [`${folder}/online`]: '0-3\n', [`${folder}/isolated`]: '\n' },
      { cpu: { coresUsable: 4 } },
    ],
    [
      'a power mode that caps the clock (Orin Nano at 25 W)',
      { ...cpu('0xd42', A76), ...clock(1_728_000, 1_344_000) },
      { cpu: { maxFrequencyHz: 1_728_000_000, frequencyCappedToHz: 1_344_000_000 } },
    ],
    [
      'no cpufreq in a virtual machine',
      { '/proc/cpuinfo': x86Cpuinfo(2, 'lm avx2') },
      { cpu: { governor: null }, missing: { 'cpu.governor': 'no cpufreq directory' } },
    ],
  ]);
});

describe('2e heat', () => {
  const zone = (at: number, type: string, temp: string): Files => ({
    [`/sys/class/thermal/thermal_zone${at}/type`]: `${type}\n`,
    [`/sys/class/thermal/thermal_zone${at}/temp`]: `${temp}\n`,
  });
  const throttled = '/sys/devices/platform/soc/soc:firmware/get_throttled';
  const volt = (alarm: string): Files => ({
    '/sys/class/hwmon/hwmon0/name': 'cpu_thermal\n',
    '/sys/class/hwmon/hwmon7/name': 'rpi_volt\n',
    '/sys/class/hwmon/hwmon7/in0_lcrit_alarm': `${alarm}\n`,
  });
  check([
    [
      'below zero',
      zone(0, 'AO-therm', '-5500'),
      { thermal: [{ zone: 'AO-therm', celsius: -5.5 }] },
    ],
    [
      'PMIC-Die is a constant, of 100 or 50 °C',
      { ...zone(0, 'PMIC-Die', '50000'), ...zone(1, 'GPU-therm', '41000') },
      { thermal: [{ zone: 'GPU-therm', celsius: 41 }] },
    ],
    [
      'zones by name: the index of the CPU varies',
      { ...zone(0, 'acpitz', '27800'), ...zone(10, 'x86_pkg_temp', '61000') },
      { thermal: [{ zone: 'acpitz' }, { zone: 'x86_pkg_temp', celsius: 61 }] },
    ],
    [
      'an AMD machine: the only zone is of the firmware, the processor is elsewhere',
      {
        ...zone(0, 'acpitz', '16800'),
        '/sys/class/hwmon/hwmon2/name': 'k10temp\n',
        '/sys/class/hwmon/hwmon2/temp1_input': '71250\n',
      },
      { thermal: [{ zone: 'acpitz' }, { zone: 'k10temp', celsius: 71.25 }] },
    ],
    [
      '-256 °C is a sensor that is off',
      zone(0, 'cv0-thermal', '-256000'),
      { thermal: [{ zone: 'cv0-thermal', celsius: null }] },
    ],
    [
      'a zone whose temperature cannot be read is unknown, with the reason',
      { '/sys/class/thermal/thermal_zone0/type': 'cv1-thermal\n' },
      { thermal: [{ celsius: null }], missing: { 'thermal.cv1-thermal': has('no such file') } },
    ],
    [
      'get_throttled is hexadecimal without 0x',
      { [throttled]: '50005\n' },
      {
        throttling: {
          now: ['under-voltage', 'throttled'],
          sinceBoot: ['under-voltage', 'throttled'],
        },
      },
    ],
    [
      'the high bits are since boot',
      { [throttled]: '20000\n' },
      { throttling: { now: [], sinceBoot: ['frequency-capped'] } },
    ],
    [
      'on a Pi 5 the SoC has its address in its name',
      {
        '/sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled': '1\n',
      },
      { throttling: { now: ['under-voltage'], sinceBoot: [] } },
    ],
    [
      'without it, the alarm of a hwmon whose number varies',
      volt('1'),
      { throttling: { now: ['under-voltage'], sinceBoot: [] } },
    ],
    ['no alarm', volt('0'), { throttling: { now: [], sinceBoot: [] } }],
  ]);
});

describe('2f Coral', () => {
  const library: Files = { '/usr/lib/aarch64-linux-gnu/libedgetpu.so.1': '' };
  const pi = { ...cpu('0xd08', A57), ...library };
  const usb = (ids: string, speed: string): Files => ({
    '/sys/bus/usb/devices/2-1/idVendor': `${ids.slice(0, 4)}\n`,
    '/sys/bus/usb/devices/2-1/idProduct': `${ids.slice(5)}\n`,
    '/sys/bus/usb/devices/2-1/speed': `${speed}\n`,
  });
  const card: Files = {
    '/sys/bus/pci/devices/0000:01:00.0/vendor': '0x1ac1\n',
    '/sys/bus/pci/devices/0000:01:00.0/device': '0x089a\n',
    '/sys/bus/pci/devices/0000:01:00.0/class': '0x0880ff\n',
  };
  const apex = (temp: string | null, status = 'ALIVE'): Files => ({
    '/sys/class/apex/apex_0/pci_address': '0000:01:00.0\n',
    '/sys/class/apex/apex_0/status': `${status}\n`,
    ...(temp === null ? {} : { '/sys/class/apex/apex_0/temp': `${temp}\n` }),
    '/dev/apex_0': '',
  });
  check([
    [
      'USB before its first use',
      { ...pi, ...usb('1a6e:089a', '5000') },
      { kinds: ['edgetpu-usb'], problems: ['none'] },
    ],
    [
      'USB with its firmware',
      { ...pi, ...usb('18d1:9302', '5000') },
      { kinds: ['edgetpu-usb'], problems: ['none'] },
    ],
    ['18d1 alone is any Google device', { ...pi, ...usb('18d1:4ee7', '480') }, { kinds: [] }],
    ['089a of another maker', { ...pi, ...usb('18d1:089a', '480') }, { kinds: [] }],
    [
      '480 is USB 2',
      { ...pi, ...usb('18d1:9302', '480') },
      { accelerators: [{ device: has('USB 2') }] },
    ],
    [
      '5000 is USB 3',
      { ...pi, ...usb('18d1:9302', '5000') },
      { accelerators: [{ device: has('5000 Mb/s') }] },
    ],
    [
      'no library',
      { ...cpu('0xd08', A57), ...usb('1a6e:089a', '480') },
      { problems: [has('libedgetpu1-std')] },
    ],
    [
      'a library of another architecture does not load',
      {
        ...cpu('0xd08', A57),
        ...usb('1a6e:089a', '480'),
        '/usr/lib/x86_64-linux-gnu/libedgetpu.so.1': '',
      },
      { problems: [has('libedgetpu1-std')] },
    ],
    [
      'PCIe with the driver of gasket-dkms',
      { ...pi, ...card, ...apex('44550') },
      {
        kinds: ['edgetpu-pcie'],
        problems: ['none'],
        thermal: [{ zone: 'apex_0', celsius: 44.55 }],
      },
    ],
    [
      'the driver of the kernel has no temperature, which is no problem',
      { ...pi, ...card, ...apex(null) },
      { problems: ['none'], thermal: [] },
    ],
    ['no driver', { ...pi, ...card }, { problems: [has('apt install gasket-dkms')] }],
    [
      'no driver on a kernel with 16 KiB pages',
      { ...pi, ...card, '/proc/sys/kernel/osrelease': '6.6.69-v8-16k+\n' },
      { problems: [has('kernel=kernel8.img')] },
    ],
    [
      '-89.7 °C: it fell off the bus',
      { ...pi, ...card, ...apex('-89700') },
      { problems: [has('fell off')] },
    ],
    ['DEAD', { ...pi, ...card, ...apex('44550', 'DEAD') }, { problems: [has('reports DEAD')] }],
    ['LAMED', { ...pi, ...card, ...apex(null, 'LAMED') }, { problems: [has('reports LAMED')] }],
    [
      'driver without device node',
      (() => {
        const { '/dev/apex_0': _, ...rest } = apex('44550');
        return { ...pi, ...card, ...rest };
      })(),
      { problems: [has('/dev/apex_0 is missing')] },
    ],
    [
      'a container may have the node alone',
      { ...pi, '/dev/apex_0': '' },
      { kinds: ['edgetpu-pcie'], accelerators: [{ device: '/dev/apex_0' }], problems: ['none'] },
    ],
    [
      'a dual card is two devices',
      {
        ...pi,
        ...card,
        '/sys/bus/pci/devices/0000:02:00.0/vendor': '0x1ac1\n',
        '/sys/bus/pci/devices/0000:02:00.0/device': '0x089a\n',
        ...apex('44550'),
      },
      { kinds: ['edgetpu-pcie', 'edgetpu-pcie'], problems: ['none', has('no /dev/apex_1')] },
    ],
  ]);
});

describe('2g Hailo', () => {
  const at = (address: string): Files => ({
    ...cpu('0xd0b', A76),
    [`/sys/bus/pci/devices/${address}/vendor`]: '0x1e60\n',
    [`/sys/bus/pci/devices/${address}/device`]: '0x2864\n',
  });
  const ready: Files = {
    '/dev/hailo0': '',
    '/sys/module/hailo_pci/version': '4.20.0\n',
    '/lib/firmware/hailo/hailo8_fw.bin': '',
    '/sys/class/hailo_chardev/hailo0/board_location': '0001:01:00.0',
  };
  check([
    [
      'one PCI id for 8 and 8L: the smaller one until it is asked',
      { ...at('0001:01:00.0'), ...ready },
      {
        kinds: ['hailo-8l'],
        problems: ['none'],
        missing: { 'accelerators.hailo.variant': has('share a PCI id') },
      },
    ],
    [
      'the address depends on the kernel',
      { ...at('0000:01:00.0'), ...ready },
      { kinds: ['hailo-8l'], problems: ['none'] },
    ],
    [
      'the node is found by the address in the driver, not by its number',
      {
        ...at('0001:01:00.0'),
        '/sys/class/hailo_chardev/hailo3/board_location': '0001:01:00.0',
        '/dev/hailo3': '',
      },
      { accelerators: [{ usable: true, device: '/dev/hailo3 pci 0001:01:00.0' }] },
    ],
    ['no driver', at('0001:01:00.0'), { problems: [has('apt install hailo-all')] }],
    [
      'no firmware',
      { ...at('0001:01:00.0'), '/dev/hailo0': '', '/sys/module/hailo_pci/version': '4.20.0\n' },
      { problems: [has('its firmware is missing')] },
    ],
    [
      'driver loaded, firmware refused: no node',
      { ...at('0001:01:00.0'), '/sys/module/hailo_pci/version': '4.20.0\n', '/lib/firmware/x': '' },
      { problems: [has('its firmware is missing')] },
    ],
    [
      'firmware with the version of the driver in its name',
      {
        ...at('0001:01:00.0'),
        '/dev/hailo0': '',
        '/sys/module/hailo_pci/version': '4.21.0\n',
        '/lib/firmware/hailo/hailo8_fw.4.21.0.bin': '',
      },
      { kinds: ['hailo-8l'], problems: ['none'] },
    ],
    [
      'Hailo-10H is another chip',
      {
        ...cpu('0xd0b', A76),
        '/sys/bus/pci/devices/0001:01:00.0/vendor': '0x1e60\n',
        '/sys/bus/pci/devices/0001:01:00.0/device': '0x45c4\n',
      },
      { kinds: [], missing: { 'accelerators.hailo': has('Hailo-10H') } },
    ],
  ]);
});

describe('2j others', () => {
  check([
    [
      'the NPU of a Rockchip is named, though debugfs is for root only',
      { ...cpu('0xd0b', A76), ...tree('friendlyarm,nanopc-t6 rockchip,rk3588', 'NanoPC-T6') },
      { id: 'rk3588', kinds: [], missing: { 'accelerators.rknpu': has('no runtime') } },
    ],
    [
      'the NPU of an RK3588 with fewer cores',
      {
        ...cpu('0xd0b', A76),
        ...tree('radxa,e52c rockchip,rk3582 rockchip,rk3588s', 'Radxa E52C'),
      },
      { id: 'rk3588', kinds: [], missing: { 'accelerators.rknpu': has('no runtime') } },
    ],
    [
      'the DSP of a Qualcomm board that names its SoC in one string with the board',
      { ...cpu('0xd41', A76), ...tree('qcom,qcm6490-rb3gen2', 'Thundercomm, Inc. RUBIK Pi 3') },
      { id: 'generic-arm64', kinds: [], missing: { 'accelerators.hexagon': has('no runtime') } },
    ],
    [
      'the DSP of a TI AM68A, by the chip that it is made from',
      { ...cpu('0xd08', A57), ...tree('ti,am68-sk ti,j721s2', 'Texas Instruments AM68 SK') },
      { id: 'generic-arm64', kinds: [], missing: { 'accelerators.ti-npu': has('no runtime') } },
    ],
    [
      'the NPU of an Intel Core Ultra',
      {
        '/proc/cpuinfo': x86Cpuinfo(4, 'lm avx2 avx_vnni'),
        '/sys/module/intel_vpu/version': '1\n',
      },
      { kinds: [], missing: { 'accelerators.intel-npu': has('no runtime') } },
    ],
    [
      'the NPU of an AMD Ryzen, without its driver',
      {
        '/proc/cpuinfo': x86Cpuinfo(4, 'lm avx2 avx512_vnni'),
        '/sys/bus/pci/devices/0000:c5:00.1/vendor': '0x1022\n',
        '/sys/bus/pci/devices/0000:c5:00.1/device': '0x1502\n',
      },
      { kinds: [], missing: { 'accelerators.amd-npu': has('no runtime') } },
    ],
    [
      'the NPU of an i.MX 93',
      { ...cpu('0xd05', A76), ...tree('fsl,imx93-11x11-evk fsl,imx93', 'NXP i.MX93 EVK') },
      { kinds: [], missing: { 'accelerators.ethos-npu': has('no runtime') } },
    ],
    [
      'the NPU of an i.MX8M Plus',
      { ...cpu('0xd03', A57), ...tree('fsl,imx8mp-evk fsl,imx8mp', 'NXP i.MX8MPlus EVK') },
      { kinds: [], missing: { 'accelerators.vivante-npu': has('no runtime') } },
    ],
  ]);
});
