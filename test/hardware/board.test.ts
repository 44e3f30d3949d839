import { afterAll, describe, expect, test } from '@jest/globals';
import { boardOfCompatible, boardOfRevision } from '../../agent/hardware/board-ids.ts';
import { readBoard } from '../../agent/hardware/board.ts';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import { armCpuinfo, makeSysroot, removeSysroots, type Files } from '../support/sysroot.ts';

afterAll(removeSysroots);

async function boardOf(files: Files, arch = 'arm64') {
  const reading = startReading(await openTree(makeSysroot(files)));
  return { board: await readBoard(reading, arch), reading };
}

describe('compatible decides', () => {
  test.each([
    ['raspberrypi,model-zero-2-w brcm,bcm2837', 'rpi-zero-2w'],
    ['raspberrypi,3-model-b brcm,bcm2837', 'rpi-3b'],
    ['raspberrypi,3-model-b-plus brcm,bcm2837', 'rpi-3b-plus'],
    ['raspberrypi,4-model-b brcm,bcm2711', 'rpi-4b'],
    ['raspberrypi,400 brcm,bcm2711', 'rpi-400'],
    ['raspberrypi,4-compute-module brcm,bcm2711', 'rpi-cm4'],
    ['raspberrypi,5-model-b brcm,bcm2712', 'rpi-5'],
    ['raspberrypi,5-compute-module brcm,bcm2712', 'rpi-cm5'],
    ['fsl,imx8mq-phanbell fsl,imx8mq', 'coral-dev-board'],
    ['google,imx8mq-phanbell fsl,imx8mq', 'coral-dev-board'],
    ['fsl,imx8mq-evk fsl,imx8mq', null],
    ['nvidia,p3449-0000-b00+p3448-0000-b00 nvidia,jetson-nano nvidia,tegra210', 'jetson-nano'],
    ['nvidia,p2371-2180 nvidia,jetson-tx1 nvidia,tegra210', null],
    ['nvidia,p2597-0000+p3310-1000 nvidia,tegra186', 'jetson-tx2'],
    ['nvidia,p3509-0000+p3636-0001 nvidia,tegra186', 'jetson-tx2'],
    ['nvidia,p3509-0000+p3668-0000 nvidia,tegra194', 'jetson-xavier-nx'],
    ['nvidia,p2822-0000+p2888-0004 nvidia,tegra194', 'jetson-agx-xavier'],
    ['nvidia,p3768-0000+p3767-0000 nvidia,tegra234', 'jetson-orin-nx'],
    ['nvidia,p3509-0000+p3767-0001 nvidia,tegra234 nvidia,tegra23x', 'jetson-orin-nx'],
    ['nvidia,p3768-0000+p3767-0003 nvidia,tegra234', 'jetson-orin-nano'],
    ['nvidia,p3768-0000+p3767-0005-super nvidia,tegra234', 'jetson-orin-nano'],
    ['nvidia,p3737-0000+p3701-0005 nvidia,tegra234', 'jetson-agx-orin'],
    ['nvidia,p4071-0000+p3834-0008 nvidia,tegra264', 'jetson-agx-thor'],
    ['radxa,rock-5b rockchip,rk3588', 'rk3588-rock5b'],
    ['friendlyarm,nanopc-t6 rockchip,rk3588', null],
  ])('%s -> %s', (compatible, id) => {
    expect(boardOfCompatible(compatible.split(' '), 'Jetson Nano Raspberry Pi 5')).toBe(id);
  });

  test('the Dev Board Mini needs its name too: the SoC is in tablets', () => {
    const soc = ['mediatek,mt8167'];
    expect(boardOfCompatible(soc, 'Google Coral MT8167')).toBe('coral-dev-board-mini');
    expect(boardOfCompatible(soc, 'Some tablet')).toBeNull();
  });
});

describe('readBoard', () => {
  test('DMI lies on a Jetson: the device tree holds', async () => {
    const { board, reading } = await boardOf({
      '/proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0',
      '/proc/device-tree/model': 'NVIDIA Orin Nano Developer Kit\0',
      '/sys/class/dmi/id/product_name': 'NVIDIA Orin NX Developer Kit\n',
    });
    expect(board).toEqual({
      id: 'jetson-orin-nano',
      model: 'NVIDIA Orin Nano Developer Kit',
      compatible: ['nvidia,p3768-0000+p3767-0005', 'nvidia,tegra234'],
    });
    expect(reading.sources.get('board.id')).toBe('/proc/device-tree/compatible');
  });

  test('a machine without device tree gets its name from DMI', async () => {
    const { board } = await boardOf({ '/sys/class/dmi/id/product_name': 'NUC\n' }, 'x64');
    expect(board).toEqual({ id: 'generic-x86-64', model: 'NUC', compatible: [] });
  });

  test('the other place of the device tree is read too', async () => {
    const folder = '/sys/firmware/devicetree/base';
    const { board } = await boardOf({
      [`${folder}/compatible`]: 'raspberrypi,5-model-b\0brcm,bcm2712\0',
    });
    expect(board.id).toBe('rpi-5');
  });

  test('a container without device tree still has the revision code', async () => {
    const cpuinfo = armCpuinfo(
      [{ number: 0, part: '0xd08', features: 'fp asimd' }],
      'Revision\t: c03115\n',
    );
    const { board, reading } = await boardOf({ '/proc/cpuinfo': cpuinfo });
    expect(board.id).toBe('rpi-4b');
    expect(reading.sources.get('board.id')).toBe('/proc/cpuinfo');
  });

  test.each([
    ['arm64', 'generic-arm64'],
    ['x64', 'generic-x86-64'],
    ['arm', 'generic-arm'],
    ['riscv64', 'generic'],
  ])('an unknown %s board is %s', async (arch, id) => {
    const { board, reading } = await boardOf({}, arch);
    expect(board.id).toBe(id);
    expect(reading.sources.get('board.id')).toBeUndefined();
  });
});

test.each([
  [0x902120, 'rpi-zero-2w'],
  [0xa020d3, 'rpi-3b-plus'],
  [0xc03115, 'rpi-4b'],
  [0xd04170, 'rpi-5'],
  [0xe04171, 'rpi-5'],
  // Old style: bit 23 is clear.
  [0x000e, null],
])('revision %p is %p', (revision, id) => expect(boardOfRevision(revision)).toBe(id));
