/** What tests need of an Edge TPU, where there is none. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Facts } from '../../agent/contracts/facts.ts';
import { probe } from '../../agent/hardware/probe.ts';
import { makeOperator } from '../../agent/model/tflite/types.ts';
import { programPath } from './available.ts';
import { makeSysroot } from './sysroot.ts';
import { constant, tfliteBytes, tinyTflite, value } from './tflite-models.ts';

const FIXTURES = resolve(import.meta.dirname, '../fixtures/edgetpu');
const COMPILE_MS = 30_000;

/** Builds the stand-in for libedgetpu.so.1 into a folder, for LD_LIBRARY_PATH. Needs `cc`. */
export function buildDelegate(folder: string): void {
  const source = join(FIXTURES, 'delegate.c');
  const library = join(folder, 'libedgetpu.so.1');
  const flags = ['-shared', '-fPIC', '-Wall', '-Werror', '-O1', '-o', library, source, '-lm'];
  const made = spawnSync(programPath('cc') ?? 'cc', flags, {
    encoding: 'utf8',
    timeout: COMPILE_MS,
  });
  if (made.status !== 0) throw new Error(`the delegate does not compile: ${made.stderr}`);
}

/** Puts the stand-in for edgetpu_compiler into a new folder, for PATH. */
export function putCompiler(folder: string): string {
  const bin = join(folder, 'bin');
  const program = join(bin, 'edgetpu_compiler');
  mkdirSync(bin, { recursive: true });
  const script = join(FIXTURES, 'compiler.mjs');
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`);
  chmodSync(program, 0o755);
  return bin;
}

/** This machine, with a Coral USB stick as a recorded tree shows it. */
export async function withStick(speedMbps: number): Promise<Facts> {
  const stick = '/sys/bus/usb/devices/2-1';
  const root = makeSysroot({
    [`${stick}/idVendor`]: '18d1\n',
    [`${stick}/idProduct`]: '9302\n',
    [`${stick}/speed`]: `${speedMbps}\n`,
    [`${stick}/busnum`]: '2\n',
    [`${stick}/devnum`]: '5\n',
    '/usr/lib/libedgetpu.so.1': '',
  });
  const { accelerators } = await probe({ root });
  return { ...(await probe()), accelerators };
}

const SIDE = 40;
const CHANNELS = 16;
const LAYERS = 3;
const SIZE = SIDE * SIDE * CHANNELS;
/** Of a 3x3 kernel. */
const CENTRE = 4;

/**
 * The identity, the long way: 3x3 convolutions that look at the centre only, and a reshape. So the
 * stand-in, which hands its input through, answers right, and is faster than any CPU.
 */
export function slowIdentity(): Uint8Array {
  const shape = [1, SIDE, SIDE, CHANNELS];
  const kernel = new Float32Array(CHANNELS * 9 * CHANNELS);
  for (let c = 0; c < CHANNELS; c += 1) kernel[(c * 9 + CENTRE) * CHANNELS + c] = 1;
  const [kernelAt, biasAt, shapeAt, end] = [1, 2, 3, 4].map((more) => LAYERS + more) as [
    number,
    number,
    number,
    number,
  ];
  const layers = Array.from({ length: LAYERS }, (_, at) =>
    makeOperator({
      op: 'CONV_2D',
      inputs: [at, kernelAt, biasAt],
      outputs: [at + 1],
      options: {
        kind: 'Conv2DOptions',
        padding: 'SAME',
        strideW: 1,
        strideH: 1,
        fusedActivationFunction: 'NONE',
        dilationWFactor: 1,
        dilationHFactor: 1,
        quantizedBiasType: 'FLOAT32',
      },
    }),
  );
  const flatten = makeOperator({ op: 'RESHAPE', inputs: [LAYERS, shapeAt], outputs: [end] });
  return tfliteBytes(
    tinyTflite({
      tensors: [
        ...Array.from({ length: LAYERS + 1 }, (_, at) => value(`v${at}`, shape)),
        constant('kernel', kernel, { shape: [CHANNELS, 3, 3, CHANNELS] }),
        constant('zero', new Float32Array(CHANNELS)),
        constant('flat', Int32Array.of(1, SIZE)),
        value('y', [1, SIZE]),
      ],
      inputs: [0],
      outputs: [end],
      operators: [...layers, flatten],
    }),
  );
}

/** `count` inputs of `slowIdentity` as a .npy file. */
export function identitySamples(count: number): Buffer {
  const values = Float32Array.from({ length: count * SIZE }, (_, at) => Math.sin(at * 0.37));
  const shape = `(${count}, ${SIDE}, ${SIDE}, ${CHANNELS})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const header = Buffer.from(`${text.padEnd(117)}\n`, 'latin1');
  const start = Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1');
  return Buffer.concat([start, header, new Uint8Array(values.buffer)]);
}
