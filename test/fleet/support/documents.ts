import type { BenchReport } from '../../../agent/contracts/bench.ts';
import type { Facts } from '../../../agent/contracts/facts.ts';

/** The facts of a small invented board. */
export const facts: Facts = {
  schema: 'edgefit/facts/1',
  board: { id: 'rpi-5', model: 'Raspberry Pi 5 Model B Rev 1.0', compatible: [] },
  cpu: {
    arch: 'arm64',
    vendor: 'ARM',
    model: 'Cortex-A76',
    coresOnline: 4,
    coresUsable: 4,
    features: ['asimd', 'asimddp'],
    governor: null,
    maxFrequencyHz: 2_400_000_000,
    currentFrequencyHz: null,
    frequencyCappedToHz: null,
  },
  memory: { totalBytes: 8_000_000_000, availableBytes: null, limitBytes: null, swapBytes: null },
  accelerators: [
    { kind: 'edgetpu-usb', usable: false, problem: 'libedgetpu.so.1 is not installed' },
    { kind: 'hailo-8l', usable: true },
  ],
  thermal: [{ zone: 'cpu-thermal', celsius: 51.2 }],
  throttling: null,
  os: { name: 'Debian GNU/Linux 12', kernel: '6.6.31', container: false },
  profile: {
    id: 'rpi-5',
    precisions: ['int8', 'fp16', 'fp32'],
    runtimes: ['tflite', 'onnxruntime'],
  },
  sources: {},
  unknown: [{ fact: 'cpu.governor', why: 'no cpufreq directory' }],
};

/** A benchmark that found nothing, with `note` (and its length) among the warnings. */
export function benchReport(note = ''): BenchReport {
  return {
    schema: 'edgefit/bench/1',
    startedAt: '2026-03-01T12:00:00.250Z',
    agent: '0.1.0',
    device: facts,
    model: { name: 'demo', sha256: '00', format: 'onnx', bytes: 1 },
    samples: { calibration: 0, evaluation: 0, labelled: false, source: 'none' },
    objective: { optimize: 'latency', maxAccuracyDrop: 1, minSqnrDb: null },
    candidates: [],
    notTried: [],
    warnings: [note],
    chosen: null,
  };
}
