// @ts-check
// The emulated cores, each in a board that has it.

/**
 * @typedef {object} Core
 * @property {string} cpu qemu's name
 * @property {string} name the probe's name
 * @property {readonly string[]} features that the probe must name, no more
 * @property {boolean} dotProducts whether int8 products are added four at a time (SDOT, UDOT)
 * @property {string} board id that the probe must find
 * @property {string} model device tree
 * @property {readonly string[]} compatible device tree
 */

/** Features: the technical reference manuals of the cores. @type {readonly Core[]} */
export const CORES = [
  {
    cpu: 'cortex-a53',
    name: 'Cortex-A53',
    features: ['asimd'],
    dotProducts: false,
    board: 'rpi-3b-plus',
    model: 'Raspberry Pi 3 Model B Plus Rev 1.3',
    compatible: ['raspberrypi,3-model-b-plus', 'brcm,bcm2837'],
  },
  {
    cpu: 'cortex-a76',
    name: 'Cortex-A76',
    features: ['asimd', 'asimddp', 'asimdhp', 'fphp'],
    dotProducts: true,
    board: 'rpi-5',
    model: 'Raspberry Pi 5 Model B Rev 1.0',
    compatible: ['raspberrypi,5-model-b', 'brcm,bcm2712'],
  },
];
