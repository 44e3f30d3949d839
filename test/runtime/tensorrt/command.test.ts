import { describe, expect, test } from '@jest/globals';
import {
  buildArguments,
  profileArguments,
  runArguments,
  timeArguments,
  type EngineOptions,
} from '../../../agent/runtime/tensorrt/command.ts';
import { optionsIn } from '../../../agent/runtime/tensorrt/tool.ts';
import { optionsOf } from '../../support/trtexec/versions.js';

const FILES = { onnx: 'm.onnx', engine: 'm.engine', timingCache: 't.cache' };
const OPTIONS: EngineOptions = {
  precision: 'int8',
  dla: null,
  shapes: {},
  workspaceBytes: 2 ** 30,
};
const VERSIONS = ['8.0.1', '8.2.1', '8.4.12', '8.5.2', '8.6.1', '10.3.0', '10.11.0', '11.0.0'];
const nameOf = (argument: string) => argument.split('=')[0] ?? '';

describe.each(VERSIONS)('TensorRT %s', (version) => {
  const tool = { options: new Set<string>(optionsOf(version)) };

  test('gets no option that it does not know', () => {
    const shapes = { x: [1, 3] };
    const lines = [
      buildArguments(tool, FILES, { ...OPTIONS, shapes }),
      buildArguments(tool, FILES, { ...OPTIONS, precision: 'fp32', dla: 1 }),
      timeArguments({ engine: 'm', seconds: 1, shapes, times: 't' }),
      profileArguments(tool, { engine: 'm', shapes, profile: 'p', layers: 'l' }),
      runArguments({ engine: 'm', inputs: { x: 'x.bin' }, outputs: 'o', shapes }),
    ];
    const unknown = lines
      .flat()
      .map(nameOf)
      .filter((name) => !tool.options.has(name));
    expect(unknown).toEqual([]);
  });
});

const build = (version: string, options: Partial<EngineOptions> = {}) =>
  buildArguments({ options: optionsOf(version) }, FILES, { ...OPTIONS, ...options });

test('the workspace in the words of the version, in MiB', () => {
  expect(build('8.0.1')).toContain('--workspace=1024');
  expect(build('8.4.12')).toContain('--memPoolSize=workspace:1024');
});

test('building only, in the words of the version', () => {
  expect(build('8.0.1')).toContain('--buildOnly');
  expect(build('10.3.0')).toContain('--skipInference');
});

test('precisions: float without TF32, INT8 with FP16 for the rest; none where the file says it', () => {
  const flags = (version: string, precision: EngineOptions['precision']) =>
    build(version, { precision }).filter((one) => /^--(noTF32|fp16|int8)$/.test(one));
  expect(flags('8.5.2', 'fp32')).toEqual(['--noTF32']);
  expect(flags('8.5.2', 'fp16')).toEqual(['--fp16']);
  expect(flags('8.5.2', 'int8')).toEqual(['--int8', '--fp16']);
  expect(flags('11.0.0', 'int8')).toEqual([]);
});

test('the DLA falls back to the GPU', () => {
  expect(build('8.5.2', { dla: 1 })).toEqual(
    expect.arrayContaining(['--useDLACore=1', '--allowGPUFallback']),
  );
});

test('shapes are quoted where a name would end at its colon', () => {
  const shapes = { 'images:0': [1, 3, 8, 8], plain: [2] };
  const text = "'images:0':1x3x8x8,plain:2";
  expect(build('8.5.2', { shapes })).toEqual(
    expect.arrayContaining([`--minShapes=${text}`, `--optShapes=${text}`, `--maxShapes=${text}`]),
  );
  const inputs = { 'images:0': 'a.bin', plain: 'b.bin' };
  const line = runArguments({ engine: 'm', inputs, outputs: 'o', shapes });
  expect(line).toContain("--loadInputs='images:0':a.bin,plain:b.bin");
  expect(line).toContain(`--shapes=${text}`);
});

test('the duration is in whole seconds', () => {
  const line = timeArguments({ engine: 'm', seconds: 0.5, shapes: {}, times: 't' });
  expect(line).toContain('--duration=1');
});

test('options are found in a help text', () => {
  const help = '  --onnx=<file>   ONNX model\n  --fp16          (default = off)\n -- text --';
  expect([...optionsIn(help)]).toEqual(['--onnx', '--fp16']);
});
