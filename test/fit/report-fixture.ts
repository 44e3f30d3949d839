import type { BenchReport, CandidateRow } from '../../agent/contracts/bench.ts';
import { applyDecision, decide } from '../../agent/fit/decide/decide.ts';
import { labelled, row } from './fixtures.ts';

const WHY = {
  fp32: 'the file as it is: the reference for all others',
  'int8-static':
    '27 nodes (Conv/Gemm) can run on integers; s8 activations and weights use the symmetric kernels of ARM',
  'int8-dynamic':
    '1 node (Gemm) can run on integers without samples, 26 Convs stay float; u8 activations',
} as const;

const measured = [
  row('onnxruntime/fp32/t1', {
    p50: 5.4,
    p90: 5.61,
    drop: 0,
    sqnr: null,
    samples: 900,
    value: 0.5756,
  }),
  row('onnxruntime/fp32/t2', {
    p50: 3.1,
    p90: 3.35,
    drop: 0,
    sqnr: null,
    samples: 900,
    value: 0.5756,
  }),
  row('onnxruntime/int8-static/t1', {
    p50: 2.9,
    p90: 3.04,
    drop: 0.22,
    sqnr: 21.42,
    samples: 900,
    value: 0.5734,
  }),
  row('onnxruntime/int8-static/t2', {
    p50: 1.7,
    p90: 1.92,
    drop: 0.22,
    sqnr: 21.42,
    samples: 900,
    value: 0.5734,
  }),
  row('onnxruntime/int8-dynamic/t1', {
    p50: 5.2,
    p90: 5.4,
    drop: 5.6,
    sqnr: 12.31,
    samples: 900,
    value: 0.5196,
  }),
  row('onnxruntime/int8-dynamic/t2', {
    error: 'the runtime ended with SIGKILL: not enough memory',
  }),
].map((one) => ({
  ...one,
  ...(one.latencyMs === null
    ? {
        bytes: null,
        throughputPerSecond: null,
        loadMs: null,
        peakRssBytes: null,
        integerCoverage: null,
      }
    : {}),
  why: WHY[
    one.method === 'none' ? 'fp32' : one.method === 'static' ? 'int8-static' : 'int8-dynamic'
  ],
}));

const decision = decide(measured, labelled);
const candidates: CandidateRow[] = [...applyDecision(measured, decision)];

/** A whole report with fixed figures, as a Raspberry Pi 5 might give it. */
export const report: BenchReport = {
  schema: 'edgefit/bench/1',
  startedAt: '2026-01-02T03:04:05.000Z',
  agent: '0.1.0',
  device: {
    schema: 'edgefit/facts/1',
    board: {
      id: 'rpi-5',
      model: 'Raspberry Pi 5 Model B Rev 1.0',
      compatible: ['raspberrypi,5-model-b', 'brcm,bcm2712'],
    },
    cpu: {
      arch: 'arm64',
      vendor: 'ARM',
      model: 'Cortex-A76',
      coresOnline: 4,
      coresUsable: 2,
      features: ['fp', 'asimd', 'crc32', 'asimddp', 'fphp', 'asimdhp', 'atomics'],
      governor: 'ondemand',
      maxFrequencyHz: 2_400_000_000,
      currentFrequencyHz: 1_500_000_000,
      frequencyCappedToHz: null,
    },
    memory: {
      totalBytes: 8_200_000_000,
      availableBytes: 6_100_000_000,
      limitBytes: null,
      swapBytes: 0,
    },
    accelerators: [
      {
        kind: 'edgetpu-usb',
        usable: false,
        problem: 'libedgetpu.so.1 is not installed: apt install libedgetpu1-std',
      },
    ],
    thermal: [{ zone: 'cpu-thermal', celsius: 51.2 }],
    throttling: { now: [], sinceBoot: [] },
    os: { name: 'Debian GNU/Linux 12', kernel: '6.6.31', container: false },
    profile: { id: 'rpi-5', precisions: ['int8', 'fp32'], runtimes: ['tflite', 'onnxruntime'] },
    sources: {},
    unknown: [],
  },
  model: {
    name: 'mobilenet-v1-025-224',
    sha256: 'ab'.repeat(32),
    format: 'onnx',
    bytes: 1_876_802,
  },
  samples: { calibration: 100, evaluation: 900, labelled: true, source: 'data/imagenet1000' },
  objective: { optimize: 'latency', maxAccuracyDrop: 1, minSqnrDb: null },
  candidates,
  notTried: [
    { precision: 'runtime tflite', why: 'this version of the agent cannot run it' },
    { precision: 'fp16', why: 'onnxruntime computes fp16 in fp32 on this CPU' },
  ],
  warnings: [...decision.warnings],
  chosen: decision.chosen,
};
