import { describe, expect, test } from '@jest/globals';
import { decideAuto } from '../../../agent/fit/decide/auto-decision.ts';
import { calibrationBytes } from '../../../agent/fit/calibrate/calibration-budget.ts';
import { groupBySize } from '../../../agent/fit/calibrate/calibration-groups.ts';
import { decide } from '../../../agent/fit/decide/decide.ts';
import type { MeasuredRow } from '../../../agent/fit/types.ts';
import { loadProfiles } from '../../../agent/hardware/profiles.ts';
import { labelled, row, unlabelled } from '../fixtures.ts';

const profiles = await loadProfiles();
const gainsOf = (id: string) => profiles.find((one) => one.id === id)?.gains ?? [];

const FP32 = 'tensorrt/fp32/t1';
const FP16 = 'tensorrt/fp16/t1';
const INT8 = 'tensorrt/int8-static/t1';

function onGpu(id: string, shape: Parameters<typeof row>[1]): MeasuredRow {
  return { ...row(id, shape), runtime: 'tensorrt' };
}

function rows(fp16: number, int8: number, drop = 0.2): readonly MeasuredRow[] {
  return [
    onGpu(FP32, { p50: 8.05, drop: 0, sqnr: null }),
    onGpu(FP16, { p50: fp16, drop: 0, sqnr: 60 }),
    onGpu(INT8, { p50: int8, drop, sqnr: 30 }),
  ];
}

describe('INT8 on the GPU of an Orin must be a tenth faster than FP16', () => {
  const gains = gainsOf('jetson-orin-nx');
  test.each([
    // YOLO11n on an Orin NX, as published: 4.85 / 4.37 is 1.11.
    [4.85, 4.37, INT8],
    [4.85, 4.5, FP16],
    // Exactly a tenth.
    [4.4, 4.0, INT8],
    [4.0, 4.1, FP16],
  ])('FP16 %d ms, INT8 %d ms: %s', (fp16, int8, chosen) => {
    expect(decide(rows(fp16, int8), labelled, gains).chosen).toBe(chosen);
    expect(decideAuto(rows(fp16, int8), unlabelled, new Set(), gains).chosen).toBe(chosen);
  });

  test('the reason has the figures', () => {
    const { verdicts } = decide(rows(4.85, 4.5), labelled, gains);
    expect(verdicts[2]?.reason).toContain(
      'only 8% faster than fp16 (4.50 against 4.85 ms), and under 10% the profile keeps to fp16',
    );
  });

  test('accuracy still decides first', () => {
    expect(decide(rows(4.85, 2.0, 5), labelled, gains).chosen).toBe(FP16);
  });

  test('an FP16 version that is not accurate enough, or failed, is no rival', () => {
    const [float, , integer] = rows(4.85, 4.8);
    const broken = onGpu(FP16, { error: 'did not build' });
    const coarse = onGpu(FP16, { p50: 4.85, drop: 9 });
    for (const half of [broken, coarse]) {
      const all = [float, half, integer].flatMap((one) => one ?? []);
      expect(decide(all, labelled, gains).chosen).toBe(INT8);
    }
  });

  test('an FP16 version that misses a limit is no rival of one that keeps it', () => {
    const limited = { ...labelled, maxP90Ms: 5 };
    expect(decide(rows(4.85, 4.5), limited, gains).chosen).toBe(INT8);
    // Where nothing keeps it, the rule holds as ever.
    expect(decide(rows(4.85, 4.5), { ...labelled, maxP90Ms: 1 }, gains).chosen).toBe(FP16);
  });

  test('an FP16 version that is slower than float is no rival', () => {
    expect(decide(rows(8.2, 7.8), labelled, gains).chosen).toBe(INT8);
  });

  test('on the CPU, and where something else than speed is asked for, it does not count', () => {
    const onCpu = rows(4.85, 4.5).map((one) => ({ ...one, runtime: 'onnxruntime' as const }));
    expect(decide(onCpu, labelled, gains).chosen).toBe(INT8);
    expect(decide(rows(4.85, 4.5), { ...labelled, optimize: 'size' }, gains).chosen).toBe(INT8);
  });

  test('without the rule of the profile the faster one is taken', () => {
    expect(decide(rows(4.85, 4.5), labelled, gainsOf('rpi-5')).chosen).toBe(INT8);
  });
});

describe('memory for calibration', () => {
  const MIB = 2 ** 20;
  const memory = (availableBytes: number | null, limitBytes: number | null = null) => ({
    totalBytes: null,
    swapBytes: null,
    availableBytes,
    limitBytes,
  });
  const calibration = { memoryBytesMax: 16 * MIB, memoryFraction: 0.02, why: 'test' };
  test.each([
    ['plenty: the most that the profile allows', memory(4096 * MIB), 16 * MIB],
    ['little: a share of what is free', memory(400 * MIB), 8 * MIB],
    ['a container with less', memory(4096 * MIB, 100 * MIB), 2 * MIB],
    ['almost nothing: one tensor after the other', memory(10 * MIB), MIB],
    ['unknown', memory(null), 16 * MIB],
  ])('%s', (_, free, bytes) => {
    expect(calibrationBytes({ calibration }, free)).toBe(bytes);
  });

  test('a profile that says nothing leaves 8 MiB', () => {
    expect(calibrationBytes({}, memory(4096 * MIB))).toBe(8 * MIB);
  });

  test('a smaller budget makes more passes', () => {
    const tensors = Array.from({ length: 8 }, (_, at) => ({
      name: `t${at}`,
      dtype: 'float32' as const,
      shape: [1, 512, 1024],
    }));
    expect([16, 8, 4].map((mib) => groupBySize(tensors, mib * MIB).length)).toEqual([1, 2, 4]);
  });
});
