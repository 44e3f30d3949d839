/** Orins of files, and the smallest package that its GPU and its DLA take. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npy } from '../calibration/make-arrays.ts';
import { armCpuinfo, meminfo, type Files } from './sysroot.ts';
import { tinyModel } from './tiny-onnx.ts';

const FEATURES = 'fp asimd fphp asimdhp asimddp';

/** Its device tree, TensorRT's library, and four of its cores. */
export function agxOrin(): Record<string, string> {
  const cores = [0, 1, 2, 3].map((number) => ({ number, part: '0xd42', features: FEATURES }));
  return {
    '/proc/cpuinfo': armCpuinfo(cores),
    '/proc/meminfo': meminfo({ total: 31_000_000, available: 28_000_000 }),
    '/proc/device-tree/compatible': 'nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0',
    '/proc/device-tree/model': 'NVIDIA Jetson AGX Orin Developer Kit\0',
    '/usr/lib/aarch64-linux-gnu/libnvinfer.so.8': '',
  };
}

/** One without a DLA: half as many engines. */
export function orinNano(): Record<string, string> {
  return {
    ...agxOrin(),
    '/proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0',
    '/proc/device-tree/model': 'NVIDIA Jetson Orin Nano Developer Kit\0',
  };
}

export const ORIN_RAIL = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1';
export const ORIN_ZONE = '/sys/class/thermal/thermal_zone0';
const CLOCK = '/sys/devices/system/cpu/cpu0/cpufreq';
const GPU = '/sys/class/devfreq/17000000.gpu';

/** What changes on it under load: 1 W from 5 V, 45 °C, a busy GPU at 1.3 GHz. */
export function orinUnderLoad(): Files {
  return {
    [`${ORIN_RAIL}/in1_label`]: 'VDD_GPU_SOC\n',
    [`${ORIN_RAIL}/in1_input`]: '5000\n',
    [`${ORIN_RAIL}/curr1_input`]: '200\n',
    [`${ORIN_ZONE}/type`]: 'gpu-thermal\n',
    [`${ORIN_ZONE}/temp`]: '45000\n',
    [`${CLOCK}/scaling_governor`]: 'schedutil\n',
    [`${CLOCK}/scaling_min_freq`]: '729600\n',
    [`${CLOCK}/scaling_max_freq`]: '2201600\n',
    [`${CLOCK}/scaling_cur_freq`]: '729600\n',
    [`${GPU}/device/of_node/name`]: 'gpu\0',
    [`${GPU}/cur_freq`]: '1300500000\n',
    '/sys/devices/platform/gpu.0/load': '950\n',
    '/var/lib/nvpmodel/status': 'pmode:0003 fmode:quiet\n',
    '/etc/nvpmodel.conf': '< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=3 NAME=MODE_50W >\n',
  };
}

const SIZE = 8;

/** A matrix product with four samples for calibration and two for evaluation; its manifest's path. */
export function productPackage(folder: string): string {
  const weights = Float32Array.from({ length: SIZE * SIZE }, (_, at) => Math.sin(at));
  const shape = [1, SIZE];
  const model = tinyModel({
    inputs: [{ name: 'x', shape }],
    outputs: [{ name: 'y', shape }],
    weights: [{ name: 'w', shape: [SIZE, SIZE], data: weights }],
    nodes: [{ op: 'MatMul', name: 'product', inputs: ['x', 'w'], outputs: ['y'] }],
  });
  const samples = Float32Array.from({ length: 6 * SIZE }, (_, at) => Math.cos(at));
  writeFileSync(join(folder, 'product.onnx'), model);
  writeFileSync(join(folder, 'samples.npy'), npy('<f4', [6, SIZE], samples));
  const path = join(folder, 'product.json');
  const manifest = {
    schema: 'edgefit/model/1',
    name: 'product',
    model: 'product.onnx',
    samples: {
      calibration: { path: 'samples.npy', from: 0, to: 4 },
      evaluation: { path: 'samples.npy', from: 4, to: 6 },
    },
  };
  writeFileSync(path, JSON.stringify(manifest));
  return path;
}
