import { afterAll, describe, expect, test } from '@jest/globals';
import {
  apexProblem,
  stickProblem,
  type ApexState,
  type StickState,
} from '../../agent/hardware/edgetpu.ts';
import { hailoProblem, parseHailoArchitecture } from '../../agent/hardware/hailo.ts';
import { readNvidia } from '../../agent/hardware/nvidia.ts';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import { readDevice } from '../../agent/hardware/probe.ts';
import { makeSysroot, raspberryPi4, removeSysroots, type Files } from '../support/sysroot.ts';

afterAll(removeSysroots);

const LIBRARY = { '/usr/lib/aarch64-linux-gnu/libedgetpu.so.1': '' };
const NO_LIBRARY = 'libedgetpu.so.1 is not installed: apt install libedgetpu1-std';

async function on(files: Files) {
  return readDevice({ root: makeSysroot({ ...raspberryPi4(), ...files }) });
}

function usb(vendor: string, product: string, speed = '5000'): Files {
  const folder = '/sys/bus/usb/devices/2-1';
  return {
    [`${folder}/idVendor`]: `${vendor}\n`,
    [`${folder}/idProduct`]: `${product}\n`,
    [`${folder}/speed`]: `${speed}\n`,
    [`${folder}/busnum`]: '2\n',
    [`${folder}/devnum`]: '3\n',
    '/sys/bus/usb/devices/2-1:1.0/bInterfaceNumber': '00\n',
  };
}

function pci(vendor: string, device: string, address = '0000:01:00.0'): Files {
  const folder = `/sys/bus/pci/devices/${address}`;
  return { [`${folder}/vendor`]: `${vendor}\n`, [`${folder}/device`]: `${device}\n` };
}

describe('USB Edge TPU', () => {
  test.each([
    ['before its first use', '1a6e', '089a'],
    ['with its firmware', '18d1', '9302'],
  ])('is found %s', async (_, vendor, product) => {
    const { accelerators } = await on({ ...usb(vendor, product), ...LIBRARY });
    expect(accelerators).toEqual([
      {
        kind: 'edgetpu-usb',
        usable: true,
        usbMbps: 5000,
        device: `usb 2-1 ${vendor}:${product}, 5000 Mb/s`,
      },
    ]);
  });

  test('names in a recording that no kernel gives are passed over', async () => {
    const odd = '/sys/bus/usb/devices/\u001b[31m';
    const { accelerators } = await on({
      [`${odd}/idVendor`]: '18d1',
      [`${odd}/idProduct`]: '9302',
    });
    expect(accelerators).toEqual([]);
  });

  test('another Google device is none', async () => {
    const { accelerators } = await on({ ...usb('18d1', '4ee7'), ...LIBRARY });
    expect(accelerators).toEqual([]);
  });

  test('says how to install the library, of this architecture', async () => {
    const other = { '/usr/lib/x86_64-linux-gnu/libedgetpu.so.1': '' };
    const { accelerators } = await on({ ...usb('1a6e', '089a'), ...other });
    expect(accelerators[0]).toMatchObject({ usable: false, problem: NO_LIBRARY });
  });

  test('says that USB 2 is slow', async () => {
    const { accelerators } = await on({ ...usb('18d1', '9302', '480'), ...LIBRARY });
    expect(accelerators[0]?.device).toContain('USB 2');
  });

  const ready: StickState = {
    library: true,
    node: '/dev/bus/usb/002/003',
    present: true,
    writable: true,
  };
  test.each([
    [{}, null],
    [{ writable: false }, 'plugdev'],
    [{ library: false }, 'libedgetpu1-std'],
    [{ present: false }, '--device /dev/bus/usb'],
  ])('problem of %j', (state, fix) => {
    expect(stickProblem({ ...ready, ...state }) ?? 'none').toContain(fix ?? 'none');
  });
});

describe('PCIe Edge TPU', () => {
  const card = pci('0x1ac1', '0x089a');
  const apex = {
    '/sys/class/apex/apex_0/pci_address': '0000:01:00.0\n',
    '/sys/class/apex/apex_0/status': 'ALIVE\n',
    '/sys/class/apex/apex_0/temp': '44550\n',
    '/dev/apex_0': '',
  };

  test('is usable with driver and library, and has a temperature', async () => {
    const { accelerators, thermal } = await on({ ...card, ...apex, ...LIBRARY });
    expect(accelerators).toEqual([
      { kind: 'edgetpu-pcie', usable: true, device: '/dev/apex_0 pci 0000:01:00.0' },
    ]);
    expect(thermal).toContainEqual({ zone: 'apex_0', celsius: 44.55 });
  });

  test('without its driver is unusable, with the fix', async () => {
    const { accelerators } = await on({ ...card, ...LIBRARY });
    expect(accelerators).toEqual([
      {
        kind: 'edgetpu-pcie',
        usable: false,
        problem: 'its driver is not loaded (no /dev/apex_0): apt install gasket-dkms, then reboot',
        device: 'pci 0000:01:00.0',
      },
    ]);
  });

  test('a dual card with one driver node has one usable half', async () => {
    const { accelerators } = await on({
      ...card,
      ...pci('0x1ac1', '0x089a', '0000:02:00.0'),
      ...apex,
      ...LIBRARY,
    });
    expect(accelerators.map(({ usable, device }) => [usable, device])).toEqual([
      [true, '/dev/apex_0 pci 0000:01:00.0'],
      [false, 'pci 0000:02:00.0'],
    ]);
  });

  test('the mainline driver has no temperature, which is no problem', async () => {
    const { '/sys/class/apex/apex_0/temp': _, ...mainline } = apex;
    const { accelerators, thermal } = await on({ ...card, ...mainline, ...LIBRARY });
    expect(accelerators[0]?.usable).toBe(true);
    expect(thermal.map(({ zone }) => zone)).toEqual(['cpu-thermal']);
  });

  test('fallen off the bus: unusable, and the temperature is unknown', async () => {
    const lost = { '/sys/class/apex/apex_0/temp': '-89700\n' };
    const { accelerators, thermal, unknown } = await on({ ...card, ...apex, ...LIBRARY, ...lost });
    expect(accelerators[0]).toMatchObject({
      usable: false,
      problem: expect.stringContaining('fell off the PCIe bus'),
    });
    expect(thermal).toContainEqual({ zone: 'apex_0', celsius: null });
    expect(unknown.map(({ fact }) => fact)).toContain('thermal.apex_0');
  });

  const alive: ApexState = {
    library: true,
    node: '/dev/apex_0',
    present: true,
    writable: true,
    status: 'ALIVE',
    milliCelsius: 44550,
  };
  test.each([
    [{}, null],
    [{ status: 'DEAD' }, 'reports DEAD'],
    [{ status: 'LAMED' }, 'reports LAMED'],
    [{ writable: false }, 'usermod -aG apex'],
    [{ present: false }, 'modprobe apex'],
    [{ library: false }, 'libedgetpu1-std'],
    [{ milliCelsius: null }, null],
  ])('problem of %j', (state, fix) => {
    expect(apexProblem({ ...alive, ...state }) ?? 'none').toContain(fix ?? 'none');
  });
});

describe('Hailo', () => {
  test('8 and 8L share an id: the smaller one, and a note', async () => {
    const { accelerators, unknown } = await on({ ...pci('0x1e60', '0x2864'), '/dev/hailo0': '' });
    expect(accelerators).toEqual([
      { kind: 'hailo-8l', usable: true, device: '/dev/hailo0 pci 0000:01:00.0' },
    ]);
    expect(unknown.map(({ fact }) => fact)).toContain('accelerators.hailo.variant');
  });

  test('without its driver is unusable, with the fix', async () => {
    const { accelerators } = await on(pci('0x1e60', '0x2864'));
    expect(accelerators[0]).toMatchObject({
      usable: false,
      problem: expect.stringContaining('apt install hailo-all'),
    });
  });

  test.each([
    [{ '/usr/lib/os-release': '' }, 'HailoRT is not installed (no libhailort.so): apt install'],
    [{ '/usr/lib/aarch64-linux-gnu/libhailort.so.4.20.0': '' }, undefined],
  ])('a recording that has libraries tells whether its own is there: %j', async (files, fix) => {
    const card = { ...pci('0x1e60', '0x2864'), '/dev/hailo0': '' };
    const [found] = (await on({ ...card, ...files })).accelerators;
    expect(found?.problem?.slice(0, fix?.length)).toBe(fix);
  });

  const ready = {
    node: '/dev/hailo0',
    present: true,
    writable: true,
    library: true,
    driver: true,
    firmware: true,
  };
  test.each([
    [{}, 'none'],
    [{ present: false, driver: false }, 'its driver is not loaded'],
    [{ present: false }, '--device /dev/hailo0'],
    [{ present: false, firmware: false }, 'its firmware is missing'],
    [{ firmware: false }, 'its firmware is missing'],
    [{ library: false }, 'apt install hailo-all'],
    [{ writable: false }, 'no permission'],
  ])('problem of %j', (state, fix) => {
    expect(hailoProblem({ ...ready, ...state }) ?? 'none').toContain(fix);
  });

  test('another chip of the maker is named, not taken for one', async () => {
    const { accelerators, unknown } = await on(pci('0x1e60', '0x45c4'));
    expect(accelerators).toEqual([]);
    expect(unknown).toContainEqual({
      fact: 'accelerators.hailo',
      why: 'Hailo-10H found, which is not supported',
    });
  });

  test.each([
    ['Board Name: Hailo-8\nDevice Architecture: HAILO8L\n', 'hailo-8l'],
    ['Board Name: Hailo-8\nDevice Architecture: HAILO8\n', 'hailo-8'],
    ['Device Architecture: HAILO15H\n', null],
    ['', null],
  ])('identify says %j', (output, kind) => expect(parseHailoArchitecture(output)).toBe(kind));
});

function jetson(module: string, soc: string): Files {
  return {
    '/proc/device-tree/compatible': `nvidia,p0000-0000+${module}\0nvidia,${soc}\0`,
  };
}

describe('NVIDIA', () => {
  const TENSORRT = { '/usr/lib/aarch64-linux-gnu/libnvinfer.so.8.5.2': '' };
  test.each([
    ['p3448-0000', 'tegra210', ['nvidia-gpu']],
    ['p3668-0000', 'tegra194', ['nvidia-gpu', 'nvidia-dla']],
    ['p2888-0001', 'tegra194', ['nvidia-gpu', 'nvidia-dla']],
    ['p3767-0000', 'tegra234', ['nvidia-gpu', 'nvidia-dla']],
    ['p3767-0005', 'tegra234', ['nvidia-gpu']],
    ['p3701-0000', 'tegra234', ['nvidia-gpu', 'nvidia-dla']],
    ['p3834-0008', 'tegra264', ['nvidia-gpu']],
  ])('module %s has %j', async (module, soc, kinds) => {
    const { accelerators } = await on({ ...jetson(module, soc), ...TENSORRT });
    expect(accelerators.map(({ kind }) => kind)).toEqual(kinds);
    expect(accelerators.every(({ usable }) => usable)).toBe(true);
  });

  test.each([
    [{}, 'give the container --runtime nvidia'],
    [{ '/dev/nvmap': '' }, undefined],
    [{ '/dev/nvhost-gpu': '' }, undefined],
  ])('on the running machine %j must be there', async (nodes, fix) => {
    const root = makeSysroot({ ...TENSORRT, ...nodes });
    const reading = startReading({ ...(await openTree(root)), live: true });
    const board = { id: 'jetson-nano', compatible: ['nvidia,p3448-0000', 'nvidia,tegra210'] };
    const [gpu] = await readNvidia(reading, board);
    expect(gpu?.problem?.slice(-(fix?.length ?? 0))).toBe(fix);
  });

  test('without TensorRT the GPU is unusable, with the fix', async () => {
    const { accelerators } = await on(jetson('p3448-0000', 'tegra210'));
    expect(accelerators).toEqual([
      {
        kind: 'nvidia-gpu',
        usable: false,
        problem: 'TensorRT is not installed (no libnvinfer.so): apt install nvidia-jetpack',
        device: 'nvidia,tegra210',
      },
    ]);
  });
});
