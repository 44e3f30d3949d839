// 2h of the traps that boards set: what a Jetson says of its software.
import { afterAll, describe, expect, test } from '@jest/globals';
import { probe } from '../../agent/hardware/probe.ts';
import { makeSysroot, removeSysroots, type Files } from '../support/sysroot.ts';

afterAll(removeSysroots);

const ORIN: Files = {
  '/proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0',
};
const XAVIER: Files = {
  '/proc/device-tree/compatible': 'nvidia,p2822-0000+p2888-0001\0nvidia,tegra194\0',
};

async function jetson(files: Files) {
  const facts = await probe({ root: makeSysroot({ ...ORIN, ...files }) });
  const why = Object.fromEntries(facts.unknown.map((one) => [one.fact, one.why]));
  return { ...facts.jetson, why, sources: facts.sources };
}

const release = (major: number, revision: string, rest = 'GCID: 1, BOARD: t186ref'): Files => ({
  '/etc/nv_tegra_release': `# R${major} (release), REVISION: ${revision}, ${rest}\n`,
});

describe('release', () => {
  test.each([
    [28, '2.0', '3.2'],
    [32, '1.0', '4.2'],
    [32, '3.1', '4.3'],
    [32, '5', '4.5'],
    [32, '6.1', '4.6'],
    [32, '7.1', '4.6.1'],
    [32, '7.6', '4.6.6'],
    [34, '1.1', '5.0.1 DP'],
    [35, '1.0', '5.0.2'],
    [35, '3.1', '5.1.1'],
    [35, '5.0', '5.1.3'],
    [36, '2.0', '6.0 DP'],
    [36, '3.0', '6.0'],
    [36, '4.0', '6.1'],
    [36, '4.3', '6.2'],
    [36, '4.7', '6.2.1'],
    [36, '5.0', '6.2.2'],
    [38, '2.0', '7.0'],
    [38, '4.0', '7.1'],
    [39, '2.0', '7.2'],
  ])('R%i revision %s is JetPack %s', async (major, revision, jetpack) => {
    expect(await jetson(release(major, revision))).toMatchObject({
      l4t: `${major}.${revision}`,
      jetpack,
    });
  });

  test('a release newer than the table: the series, and a note', async () => {
    const { l4t, jetpack, why } = await jetson(release(36, '9.1'));
    expect({ l4t, jetpack }).toEqual({ l4t: '36.9.1', jetpack: '6' });
    expect(why['jetson.jetpack']).toContain('L4T 36.9.1 is not in the table');
  });

  test('R36 has more lines, and a date in any form', async () => {
    const text =
      '# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Mon Jun  1 09:28:48 PM UTC 2026\n' +
      '# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n';
    expect(await jetson({ '/etc/nv_tegra_release': text })).toMatchObject({ l4t: '36.4.3' });
  });

  test('BOARD in the release is not the board', async () => {
    const root = makeSysroot({ ...XAVIER, ...release(32, '7.1', 'BOARD: t186ref') });
    expect((await probe({ root })).board.id).toBe('jetson-agx-xavier');
  });

  test('without the file the package tells', async () => {
    const status =
      'Package: nvidia-l4t-core-extra\nStatus: install ok installed\nVersion: 1.0\n\n' +
      'Package: nvidia-l4t-core\nStatus: install ok installed\nVersion: 36.4.3-20250107174145\n';
    const found = await jetson({ '/var/lib/dpkg/status': status });
    expect(found).toMatchObject({ l4t: '36.4.3', jetpack: '6.2' });
    expect(found.sources['jetson.l4t']).toBe('/var/lib/dpkg/status');
  });

  test('a package that was removed tells nothing', async () => {
    const status =
      'Package: nvidia-l4t-core\nStatus: deinstall ok config-files\nVersion: 36.4.3-1\n';
    expect(await jetson({ '/var/lib/dpkg/status': status })).toMatchObject({
      l4t: null,
      jetpack: null,
    });
  });
});

describe('CUDA', () => {
  const folder = '/usr/local/cuda';
  test.each<[string, Files, string | null]>([
    [
      'version.json of CUDA 11 and newer',
      {
        [`${folder}/version.json`]:
          '{"cuda":{"version":"12.6.0"},"cuda_nvcc":{"version":"12.6.68"}}',
      },
      '12.6.68',
    ],
    [
      'version.txt of JetPack 4',
      { [`${folder}/version.txt`]: 'CUDA Version 10.2.300\n' },
      '10.2.300',
    ],
    [
      'a runtime image: the name of the library',
      {
        [`${folder}/targets/aarch64-linux/lib/libcudart.so`]: '',
        [`${folder}/targets/aarch64-linux/lib/libcudart.so.12`]: '',
        [`${folder}/targets/aarch64-linux/lib/libcudart.so.12.6.77`]: '',
      },
      '12.6.77',
    ],
    ['broken', { [`${folder}/version.json`]: '{"cuda_nvcc":7}' }, null],
    ['none', {}, null],
  ])('%s', async (_, files, version) => {
    const { cuda, why } = await jetson(files);
    expect(cuda).toBe(version);
    expect(why['jetson.cuda'] === undefined).toBe(version !== null);
  });
});

describe('TensorRT', () => {
  const header = '/usr/include/aarch64-linux-gnu/NvInferVersion.h';
  const library = '/usr/lib/aarch64-linux-gnu/libnvinfer.so';
  const plain = (major: number, minor: number, patch: number) =>
    `#define NV_TENSORRT_MAJOR ${major} //!< TensorRT major version.\n` +
    `#define NV_TENSORRT_MINOR ${minor} //!< TensorRT minor version.\n` +
    `#define NV_TENSORRT_PATCH ${patch} //!< TensorRT patch version.\n`;
  const indirect =
    '#define TRT_MAJOR_ENTERPRISE 10\n#define TRT_MINOR_ENTERPRISE 13\n#define TRT_PATCH_ENTERPRISE 3\n' +
    '#define NV_TENSORRT_MAJOR TRT_MAJOR_ENTERPRISE //!< TensorRT major version.\n' +
    '#define NV_TENSORRT_MINOR TRT_MINOR_ENTERPRISE\n#define NV_TENSORRT_PATCH TRT_PATCH_ENTERPRISE\n';

  test.each<[string, Files, string | null]>([
    ['numbers in the header', { [header]: plain(8, 5, 2) }, '8.5.2'],
    [
      'from 10.11: TRT_MAJOR_ENTERPRISE, with the number elsewhere',
      { [header]: indirect },
      '10.13.3',
    ],
    ['the header of a server', { '/usr/include/NvInferVersion.h': plain(10, 3, 0) }, '10.3.0'],
    [
      'a runtime image has no header: the name of the library',
      { [`${library}.10`]: '', [`${library}.10.3.0`]: '' },
      '10.3.0',
    ],
    [
      'only a package',
      {
        '/var/lib/dpkg/status':
          'Package: libnvinfer8\nStatus: install ok installed\nVersion: 8.5.2-1+cuda11.4\n',
      },
      '8.5.2',
    ],
    ['an undefined macro', { [header]: '#define NV_TENSORRT_MAJOR TRT_MAJOR_ENTERPRISE\n' }, null],
    ['none', {}, null],
  ])('%s', async (_, files, version) => {
    const { tensorrt, why } = await jetson(files);
    expect(tensorrt).toBe(version);
    expect(why['jetson.tensorrt'] === undefined).toBe(version !== null);
  });
});

describe('power mode', () => {
  const orin =
    '# < POWER_MODEL ID=9 NAME=OLD >\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n' +
    '< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< PM_CONFIG DEFAULT=1 >\n';
  const agx = '< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=MODE_15W >\n';
  const set = (text: string): Files => ({ '/var/lib/nvpmodel/status': text });

  test.each<[string, string, Files, string | null]>([
    ['mode 0 of one board', orin, set('pmode:0000'), '15W'],
    ['mode 0 of another', agx, set('pmode:0000 fmode:quiet\n'), 'MAXN'],
    ['the fastest is not the highest or lowest number', orin, set('pmode:0002\n'), 'MAXN_SUPER'],
    ['none was set: the default', orin, {}, '25W'],
    ['a number without a name', agx, set('pmode:0007\n'), null],
    ['nonsense', agx, set('mode?\n'), null],
    ['nonsense: no reason to believe in the default', orin, set('mode?\n'), null],
  ])('%s', async (_, conf, files, name) => {
    const { powerMode, why } = await jetson({ '/etc/nvpmodel.conf': conf, ...files });
    expect(powerMode).toBe(name);
    expect(why['jetson.powerMode'] === undefined).toBe(name !== null);
  });

  test('lists the names of all modes', async () => {
    const { powerModes } = await jetson({ '/etc/nvpmodel.conf': orin });
    expect(powerModes).toEqual(['15W', '25W', 'MAXN_SUPER']);
  });
});

describe('super mode', () => {
  const flashed = (spec: string): Files => ({
    '/etc/nv_boot_control.conf': `TNSPEC ${spec}\nTEGRA_CHIPID 0x23\n`,
  });
  test.each<[string, Files, boolean | null]>([
    ['flashed for it', flashed('3767-300-0005-R.1-1-1-jetson-orin-nano-devkit-super-'), true],
    ['flashed without', flashed('3767-300-0005-R.1-1-1-jetson-orin-nano-devkit-'), false],
    [
      'a device tree that says so',
      { '/proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005-super\0nvidia,tegra234\0' },
      true,
    ],
    ['nobody says', {}, null],
    ['no such thing on a Xavier', { ...XAVIER, ...flashed('2888-400-0004-M.0') }, null],
  ])('%s', async (_, files, expected) => {
    expect((await jetson(files)).superMode).toBe(expected);
  });
});

describe('the SoC', () => {
  test.each([
    ['33', 'tegra210'],
    ['24', 'tegra186'],
    ['25', 'tegra194'],
    ['35', 'tegra234'],
    ['99', null],
  ])('chip id %s in decimal is %s', async (id, soc) => {
    const files = {
      '/proc/device-tree/compatible': 'acme,box\0nvidia,tegra23x\0',
      '/sys/module/tegra_fuse/parameters/tegra_chip_id': `${id}\n`,
    };
    expect((await jetson(files)).soc).toBe(soc);
  });
});

test('no other machine has these facts', async () => {
  const root = makeSysroot({ '/proc/device-tree/compatible': 'raspberrypi,5-model-b\0' });
  expect(await probe({ root })).not.toHaveProperty('jetson');
});
