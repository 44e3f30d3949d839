import type { BenchReport } from '../../../../agent/contracts/bench.ts';

/** A report with one candidate, as `agent bench` writes it. */
export function benchReport({
  p90,
  name = 'kws',
  reason = 'the only one',
}: {
  readonly p90: number;
  readonly name?: string;
  readonly reason?: string;
}): BenchReport {
  const id = 'onnxruntime/fp32/t1';
  return {
    schema: 'edgefit/bench/1',
    startedAt: '2026-01-01T00:00:00.000Z',
    agent: '1.2.3',
    device: {
      schema: 'edgefit/facts/1',
      board: { id: 'rpi-5', model: 'Raspberry Pi 5', compatible: [] },
      cpu: {
        arch: 'arm64',
        vendor: null,
        model: null,
        coresOnline: 4,
        coresUsable: 4,
        features: [],
        governor: null,
        maxFrequencyHz: null,
        currentFrequencyHz: null,
        frequencyCappedToHz: null,
      },
      memory: { totalBytes: 8e9, availableBytes: 4e9, limitBytes: null, swapBytes: 0 },
      accelerators: [],
      thermal: [],
      throttling: null,
      os: { name: null, kernel: '6.6', container: false },
      profile: { id: 'rpi-5', precisions: ['fp32'], runtimes: ['onnxruntime'] },
      sources: {},
      unknown: [],
    },
    model: { name, sha256: 'a'.repeat(64), format: 'onnx', bytes: 1000 },
    samples: { calibration: 0, evaluation: 0, labelled: false, source: 'none' },
    objective: { optimize: 'latency', maxAccuracyDrop: null, minSqnrDb: null },
    candidates: [
      {
        id,
        precision: 'fp32',
        method: 'none',
        runtime: 'onnxruntime',
        threads: 1,
        bytes: 1000,
        latencyMs: { p50: p90 / 2, p90, p99: p90, mean: p90, min: p90, count: 10 },
        throughputPerSecond: 1000 / p90,
        loadMs: 1,
        peakRssBytes: 1e6,
        ownOverheadMs: 0,
        integerCoverage: 0,
        fidelity: null,
        accuracy: null,
        heat: null,
        why: 'as it is',
        verdict: 'chosen',
        reason,
      },
    ],
    notTried: [],
    warnings: [],
    chosen: id,
  };
}
