import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readPackage } from '../../agent/calibration/package.ts';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import type { Sample } from '../../agent/calibration/samples/types.ts';
import { describeModel } from './model-inputs.ts';
import { temporaryFolder } from './support.ts';

describe('readPackage', () => {
  const folder = temporaryFolder();
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  test('reads a manifest whatever its name is', async () => {
    const text = JSON.stringify({ schema: 'edgefit/model/1', name: 'm', model: 'sub/m.onnx' });
    expect(await readPackage(file('m.manifest', ` ${text}`))).toEqual({
      version: null,
      variants: [],
      gates: {},
      labels: null,
      extra: {},
      name: 'm',
      modelPath: join(folder, 'sub/m.onnx'),
      manifestPath: join(folder, 'm.manifest'),
      inputs: {},
      task: null,
      calibration: null,
      evaluation: null,
      published: {},
      warnings: [],
    });
  });

  test.each(['/dev/zero', 'pipe'])('refuses %s, which may never end', async (name) => {
    if (name === 'pipe') execFileSync('mkfifo', [join(folder, name)]);
    await expect(readPackage(resolve(folder, name))).rejects.toMatchObject({
      kind: 'input',
      message: `cannot read ${resolve(folder, name)}: it is neither a file nor a folder`,
    });
  });

  test('takes anything else as a model', async () => {
    expect(await readPackage(file('net.v2.onnx', '\x08\x0a{}'))).toMatchObject({
      name: 'net.v2',
      modelPath: join(folder, 'net.v2.onnx'),
      manifestPath: null,
    });
  });

  test('names the file that is wrong or missing', async () => {
    await expect(readPackage(file('bad.json', '[]'))).rejects.toThrow('bad.json: ');
    await expect(readPackage(join(folder, 'none.onnx'))).rejects.toThrow('none.onnx: no such file');
    mkdirSync(join(folder, 'dir'));
    await expect(readPackage(join(folder, 'dir'))).rejects.toThrow('dir: it is a folder');
  });
});

// Real packages live beside the repository and are not part of it.
const packages = resolve(import.meta.dirname, '../../../shared/corpus/packages');
const names = existsSync(packages) ? readdirSync(packages) : [];

const there = names.length > 0;
(there ? test : test.skip).each(there ? names : ['(../shared/corpus is not there)'])(
  'the package %s feeds its model',
  checkPackage,
);

async function checkPackage(name: string): Promise<void> {
  const pack = await readPackage(join(packages, name));
  const description = await describeModel(pack.modelPath);
  for (const set of [pack.calibration, pack.evaluation]) {
    const { path = '', from = 0, to = 0 } = set ?? {};
    const source = await openSamples({ path }, pack.inputs, description, { from, to });
    expect(source.count).toBe(to - from);
    // A stream must also be able to start at the end.
    const last = { from: to - 1, to };
    for (const part of [source, await openSamples({ path }, pack.inputs, description, last)]) {
      const sample = await firstOf(part);
      expect(description.inputs.map((input) => sample.feeds[input.name]?.shape.length)).toEqual(
        description.inputs.map((input) => input.shape.length),
      );
    }
  }
}

async function firstOf(source: AsyncIterable<Sample>): Promise<Sample> {
  for await (const sample of source) return sample;
  throw new Error('no samples');
}
