// @ts-check
// The kinds of machines a simulated fleet is made of, with the facts that a probe would find there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chance } from './chance.js';
import { root } from './built.js';
import { must } from './must.js';

/** @typedef {import('../../agent/contracts/facts.ts').Facts} Facts */

/**
 * @typedef {object} Machine
 * @property {string} id of the hardware profile
 * @property {number} share of the fleet
 * @property {number} slowness of one inference in float, a Raspberry Pi 5 being 1
 * @property {Facts} facts
 */

/**
 * id, share, slowness, name, CPU, cores, memory in GB, accelerators
 * @type {readonly [string, number, number, string, string, number, number, Facts['accelerators']][]}
 */
const TABLE = [
  ['rpi-5', 0.34, 1, 'Raspberry Pi 5 Model B Rev 1.0', 'Cortex-A76', 4, 8, []],
  ['rpi-4b', 0.26, 2.6, 'Raspberry Pi 4 Model B Rev 1.4', 'Cortex-A72', 4, 4, []],
  [
    'jetson-orin-nano',
    0.14,
    0.9,
    'NVIDIA Jetson Orin Nano Developer Kit',
    'Cortex-A78AE',
    6,
    8,
    [{ kind: 'nvidia-gpu', usable: true }],
  ],
  [
    'coral-dev-board',
    0.12,
    4.1,
    'Freescale i.MX8MQ Phanbell',
    'Cortex-A53',
    4,
    1,
    [{ kind: 'edgetpu-pcie', usable: true, device: '/dev/apex_0' }],
  ],
  ['rk3588-rock5b', 0.08, 0.95, 'Radxa ROCK 5B', 'Cortex-A76', 8, 16, []],
  ['generic-x86-64', 0.06, 0.7, 'Intel NUC7CJYH', 'Intel Celeron J4005', 2, 8, []],
];

/** @type {readonly Machine[]} */
export const MACHINES = TABLE.map(([id, share, slowness, model, cpu, cores, gigabytes, parts]) => ({
  id,
  share,
  slowness,
  facts: factsOf(id, model, cpu, cores, gigabytes, parts),
}));

/** Which kind a device is of: by its name, so that it stays the same. @param {string} device */
export function machineOf(device) {
  let left = chance('machine', device, 'class');
  for (const machine of MACHINES) {
    left -= machine.share;
    if (left < 0) return machine;
  }
  // Shares are rounded.
  return must(MACHINES[0], 'a machine');
}

/**
 * @param {string} id
 * @param {string} model
 * @param {string} cpu
 * @param {number} cores
 * @param {number} gigabytes
 * @param {Facts['accelerators']} accelerators
 * @returns {Facts}
 */
function factsOf(id, model, cpu, cores, gigabytes, accelerators) {
  const profile = JSON.parse(readFileSync(join(root, 'hardware-profiles', `${id}.json`), 'utf8'));
  const isX64 = id === 'generic-x86-64';
  return {
    schema: 'edgefit/facts/1',
    board: { id, model, compatible: [] },
    cpu: {
      arch: isX64 ? 'x64' : 'arm64',
      vendor: isX64 ? 'GenuineIntel' : 'ARM',
      model: cpu,
      coresOnline: cores,
      coresUsable: cores,
      features: isX64 ? ['sse4_2'] : ['asimd', 'fp'],
      governor: 'ondemand',
      maxFrequencyHz: 2_000_000_000,
      currentFrequencyHz: null,
      frequencyCappedToHz: null,
    },
    memory: {
      totalBytes: gigabytes * 2 ** 30,
      availableBytes: gigabytes * 2 ** 29,
      limitBytes: null,
      swapBytes: 0,
    },
    accelerators,
    thermal: [{ zone: 'cpu-thermal', celsius: 48 }],
    throttling: null,
    os: { name: 'Debian GNU/Linux 12 (bookworm)', kernel: '6.6.31', container: false },
    profile: { id, precisions: profile.precisions, runtimes: profile.runtimes },
    sources: {},
    unknown: [],
  };
}
