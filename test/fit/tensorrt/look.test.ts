import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Facts, RuntimeName } from '../../../agent/contracts/facts.ts';
import { lookForTensorRt } from '../../../agent/fit/tensorrt/look.ts';
import { makeStandIn, type StandIn } from '../../support/trtexec.ts';

let standIn: StandIn;

beforeAll(async () => {
  standIn = await makeStandIn({ version: '10.3.0' });
});
afterAll(() => standIn.remove());

const hooks = { signal: new AbortController().signal };
const machine = (accelerators: Facts['accelerators'], format: 'onnx' | 'tflite' = 'onnx') => {
  const runtimes: RuntimeName[] = ['tensorrt', 'onnxruntime'];
  return { facts: { accelerators }, profile: { runtimes }, loaded: { model: { format } } };
};
const GPU: Facts['accelerators'] = [{ kind: 'nvidia-gpu', usable: true }];

test('a Jetson with trtexec on PATH', async () => {
  const env = { PATH: standIn.folder };
  const { tool, unusable } = await lookForTensorRt(machine(GPU), undefined, hooks, env);
  expect([tool?.path, tool?.identity, unusable.size]).toEqual([standIn.path, '10.3.0', 0]);
});

test.each([
  ['no GPU', machine([]), { PATH: '' }, 'no NVIDIA Jetson was found'],
  [
    'a GPU that cannot be used',
    machine([{ kind: 'nvidia-gpu', usable: false, problem: 'no libnvinfer.so' }]),
    { PATH: '' },
    'no libnvinfer.so',
  ],
  ['no trtexec', machine(GPU), { EDGEFIT_TRTEXEC: '/nowhere/trtexec' }, '/nowhere/trtexec'],
  ['a trtexec that is none', machine(GPU), { EDGEFIT_TRTEXEC: '/bin/true' }, 'is no trtexec'],
])('%s: not tried, with the reason', async (_, given, env, why) => {
  const { tool, unusable } = await lookForTensorRt(given, undefined, hooks, env);
  expect(tool).toBeUndefined();
  expect(unusable.get('tensorrt')).toContain(why);
});

test('a configured trtexec is trusted where the probe knows no GPU: a workstation', async () => {
  const env = { EDGEFIT_TRTEXEC: standIn.path };
  const { tool } = await lookForTensorRt(machine([]), ['tensorrt'], hooks, env);
  expect(tool?.path).toBe(standIn.path);
});

test('nobody asked, or a TFLite file: nothing is started', async () => {
  const before = (await standIn.calls()).length;
  const env = { EDGEFIT_TRTEXEC: standIn.path };
  await lookForTensorRt(machine(GPU), ['onnxruntime'], hooks, env);
  await lookForTensorRt(machine(GPU, 'tflite'), undefined, hooks, env);
  expect((await standIn.calls()).length).toBe(before);
});
