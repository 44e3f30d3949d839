import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { shippedPath } from '../../../agent/util/paths.ts';
import { npy } from '../../calibration/make-arrays.ts';
import { tinyModel, type TinyModel } from '../../support/tiny-onnx.ts';
import { makeFolder } from './agent.ts';

/** The model file of the demo. */
export const DEMO_MODEL = shippedPath('demo', 'shapes.onnx');
export const DEMO = shippedPath('demo', 'manifest.json');

/** The demo with few samples, for tests that do not look at the figures. */
export function smallDemo({ put }: Files): string {
  const text: unknown = JSON.parse(readFileSync(DEMO, 'utf8'));
  const path = shippedPath('demo', 'samples.npz');
  const samples = {
    calibration: { path, from: 0, to: 32 },
    evaluation: { path, from: 32, to: 64 },
  };
  return put('demo.json', JSON.stringify({ ...Object(text), model: DEMO_MODEL, samples }));
}

/** Short measurements: what they find out is tested elsewhere. */
export const QUICK = ['--min-time', '0.02', '--threads', '1'] as const;

export interface Files {
  readonly folder: string;
  readonly path: (name: string) => string;
  /** Writes a file, its folders included, and returns its path. */
  readonly put: (name: string, content: string | Uint8Array) => string;
}

/** A folder of test files that `removeFolders` removes. */
export function testFiles(): Files {
  const folder = makeFolder();
  const path = (name: string) => join(folder, name);
  const put = (name: string, content: string | Uint8Array) => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), content);
    return path(name);
  };
  return { folder, path, put };
}

const WEIGHTS = Float32Array.from({ length: 16 }, (_, index) => Math.sin(index));

/** y[1,4] = x[1,4] * w[4,4], with anything replaced. */
export function productModel(changes: Partial<TinyModel> = {}): Uint8Array {
  return tinyModel({
    inputs: [{ name: 'x', shape: [1, 4] }],
    outputs: [{ name: 'y', shape: [1, 4] }],
    weights: [{ name: 'w', shape: [4, 4], data: WEIGHTS }],
    nodes: [{ op: 'MatMul', name: 'product', inputs: ['x', 'w'], outputs: ['y'] }],
    ...changes,
  });
}

/** A model that applies one op to its only input. */
export function unaryModel(op: string, value: Partial<NonNullable<TinyModel['inputs']>[number]>) {
  const shape = value.shape ?? [1, 4];
  return tinyModel({
    inputs: [{ ...value, name: 'x', shape }],
    outputs: [{ ...value, name: 'y', shape }],
    nodes: [{ op, inputs: ['x'], outputs: ['y'] }],
  });
}

/** `count` samples for `productModel`; `spoil` changes one of their values. */
export function productSamples(
  count: number,
  spoil: (value: number, at: number) => number,
): Buffer {
  const values = Float32Array.from({ length: count * 4 }, (_, at) => spoil(Math.cos(at), at));
  return npy('<f4', [count, 4], values);
}

export const demoBytes = (): Buffer => readFileSync(DEMO_MODEL);
