import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseLine, parseLog } from '../../../agent/runtime/tensorrt/log.ts';
import { describeIf, sharedDir } from '../../support/available.ts';

const at = '[11/26/2026-10:00:00]';

describe('a line', () => {
  test.each([
    [`${at} [I] [TRT] [GpuLayer] conv1`, 'I', '[GpuLayer] conv1'],
    [`${at} ${at} [W] [TRT] text`, 'W', 'text'],
    [`${at} [E] `, 'E', ''],
    ['no prefix at all', null, 'no prefix at all'],
  ])('%s', (line, level, text) => {
    expect(parseLine(line)).toEqual({ level, text });
  });

  test('one without an end is cut', () => {
    expect(parseLine('x'.repeat(100_000)).text.length).toBe(4000);
  });
});

describe('a log', () => {
  const log = parseLog(
    [
      '&&&& RUNNING TensorRT.trtexec [TensorRT v100300] [b26] # trtexec --onnx=m.onnx',
      `${at} [I] Selected Device: Orin`,
      `${at} [I] Compute Capability: 8.7`,
      `${at} [I] Engine built in 61.5 sec.`,
      `${at} [I] Engine deserialized in 0.0153 sec.`,
      `${at} [I] Created input binding for images:0 with dimensions 1x3x8x8`,
      `${at} [I] Created output binding for count with dimensions `,
      `${at} [W] [TRT] Int8 support requested on hardware without native Int8 support`,
      `${at} [I] Timing trace has 77 queries over 3.10058 s`,
      `${at} [I] === Performance summary ===`,
      `${at} [I] Throughput: 1.66319e+03 qps`,
      `${at} [I] Latency: min = 0.617 ms, max = 0.829 ms, mean = 0.634 ms, median = 0.629 ms, percentile(90%) = 0.657 ms, percentile(95%) = 0.675 ms, percentile(99.9%) = 0.689 ms`,
      `${at} [I] GPU Compute Time: min = 0.5 ms, max = nan ms, mean = 0.6 ms`,
      '&&&& PASSED TensorRT.trtexec [TensorRT v100300] [b26] # trtexec --onnx=m.onnx',
      `${at} [I] [TRT] something after the end`,
    ].join('\r\n'),
  );

  test('gives version, device, times, bindings and warnings', () => {
    expect(log).toMatchObject({
      version: { major: 10, minor: 3, patch: 0 },
      status: 'passed',
      device: 'Orin',
      computeCapability: '8.7',
      buildSeconds: 61.5,
      loadSeconds: 0.0153,
      traceSeconds: 3.10058,
      bindings: [
        { direction: 'input', name: 'images:0', shape: [1, 3, 8, 8] },
        { direction: 'output', name: 'count', shape: [] },
      ],
      warnings: ['Int8 support requested on hardware without native Int8 support'],
      errors: [],
    });
    expect(log.summary.throughputPerSecond).toBeCloseTo(1663.19, 6);
  });

  test('gives the summary with its list of percentiles', () => {
    expect(log.summary.blocks.get('Latency')).toEqual({
      min: 0.617,
      max: 0.829,
      mean: 0.634,
      median: 0.629,
      percentiles: new Map([
        [90, 0.657],
        [95, 0.675],
        [99.9, 0.689],
      ]),
    });
  });

  test('passes over a block with nonsense in it', () => {
    expect(log.summary.blocks.has('GPU Compute Time')).toBe(false);
  });

  test('keeps a bounded number of errors', () => {
    const text = Array.from({ length: 5000 }, (_, i) => `${at} [E] error ${i}`).join('\n');
    const { errors, status } = parseLog(`${text}\n&&&& FAILED TensorRT.trtexec # trtexec`);
    expect([errors.length, errors[0], status]).toEqual([200, 'error 0', 'failed']);
  });

  test('of a program that was killed, or that wrote nothing, has no status', () => {
    expect(parseLog('&&&& RUNNING TensorRT.trtexec [TensorRT v8001] # x').status).toBeNull();
    expect(parseLog('')).toMatchObject({ version: null, status: null, bindings: [] });
  });
});

describeIf('shared')('captured output', () => {
  const folder = sharedDir('boards/outputs/trtexec');
  const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8');
  const logs = () => readdirSync(folder).filter((name) => name.endsWith('.log'));

  test('of every version has figures or facts, and every figure is a number', () => {
    for (const name of logs()) {
      const log = parseLog(read(name));
      expect([name, log.summary.blocks.size + (log.device === null ? 0 : 1) > 0]).toEqual([
        name,
        true,
      ]);
      for (const { min, max, mean, median, percentiles } of log.summary.blocks.values()) {
        expect(min).toBeLessThanOrEqual(mean);
        expect(mean).toBeLessThanOrEqual(max);
        expect(percentiles.size).toBeGreaterThan(0);
        for (const value of [median ?? min, ...percentiles.values()]) {
          expect(value).toBeGreaterThanOrEqual(min);
          expect(value).toBeLessThanOrEqual(max);
        }
      }
    }
  });

  test('8.0.1 on a Nano', () => {
    const log = parseLog(read('nano-trt8001-efficientdet-lite0_fp16.log'));
    expect(log).toMatchObject({
      version: { major: 8, minor: 0, patch: 1 },
      status: 'passed',
      device: 'NVIDIA Tegra X1',
      computeCapability: '5.3',
      buildSeconds: 645.854,
    });
    expect(log.bindings).toHaveLength(5);
    expect(log.bindings[0]).toEqual({
      direction: 'input',
      name: 'images:0',
      shape: [1, 320, 320, 3],
    });
    expect(log.placed.dla).toBe(0);
    expect(log.placed.gpu).toBeGreaterThan(50);
    const { blocks, throughputPerSecond } = log.summary;
    expect(throughputPerSecond).toBe(24.8341);
    expect(blocks.get('Latency')).toMatchObject({ mean: 40.2544, median: 40.1902 });
    expect(blocks.get('End-to-End Host Latency')?.percentiles.get(99)).toBe(41.211);
    expect([...blocks.keys()]).toHaveLength(6);
  });

  test('a loaded engine, and the DLA of an Orin', () => {
    expect(parseLog(read('nano-trt8001-loadengine-fp16.log')).loadSeconds).toBe(3.86437);
    const dla = parseLog(read('orin-dla-int8-summary.log'));
    expect(dla.placed).toEqual({ dla: 2, gpu: 2 });
    expect([...(dla.summary.blocks.get('Latency')?.percentiles.keys() ?? [])]).toEqual([
      90, 95, 99,
    ]);
    expect(parseLog(read('orin-trt8412-device-info.log')).version).toEqual({
      major: 8,
      minor: 4,
      patch: 12,
    });
  });
});
