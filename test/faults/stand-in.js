import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/*
 * Stands in for the command line of the agent where not fitting itself is tried but what surrounds it:
 * `fit` keeps the model as it is, `bench` says that it ran. Reads only what is there, writes the same
 * files.
 */

const FACTS = {
  schema: 'edgefit/facts/1',
  board: { id: 'generic-x86-64', model: null, compatible: [] },
  cpu: {
    arch: 'x64',
    vendor: null,
    model: null,
    coresOnline: 1,
    coresUsable: 1,
    features: [],
    governor: null,
    maxFrequencyHz: null,
    currentFrequencyHz: null,
    frequencyCappedToHz: null,
  },
  memory: { totalBytes: null, availableBytes: null, limitBytes: null, swapBytes: null },
  accelerators: [],
  thermal: [],
  throttling: null,
  os: { name: null, kernel: null, container: false },
  profile: { id: 'none', precisions: ['fp32'], runtimes: ['onnxruntime'] },
  sources: {},
  unknown: [],
};

/** @param {string} path the model */
function reportOf(path) {
  const bytes = readFileSync(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const latencyMs = { p50: 1, p90: 1, p99: 1, mean: 1, min: 1, count: 5 };
  return {
    schema: 'edgefit/bench/1',
    startedAt: '2026-06-01T00:00:00.000Z',
    agent: 'stand-in',
    device: FACTS,
    model: { name: 'kws', sha256, format: 'onnx', bytes: bytes.length },
    samples: { calibration: 0, evaluation: 0, labelled: false, source: 'none' },
    objective: { optimize: 'latency', maxAccuracyDrop: null, minSqnrDb: null },
    candidates: [
      {
        id: 'onnxruntime/fp32/t1',
        precision: 'fp32',
        method: 'none',
        runtime: 'onnxruntime',
        threads: 1,
        bytes: bytes.length,
        latencyMs,
        throughputPerSecond: 1000,
        loadMs: 1,
        peakRssBytes: 1_000_000,
        ownOverheadMs: 0,
        integerCoverage: null,
        fidelity: null,
        accuracy: null,
        heat: null,
        why: 'it is there',
        verdict: 'chosen',
        reason: 'the only one',
      },
    ],
    notTried: [],
    warnings: [],
    chosen: 'onnxruntime/fp32/t1',
  };
}

/**
 * @param {string} manifestPath
 * @param {string} folder
 */
function fit(manifestPath, folder) {
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
  const source = join(dirname(manifestPath), manifest.model);
  mkdirSync(folder, { recursive: true });
  copyFileSync(source, join(folder, 'kws.fp32.onnx'));
  const bench = reportOf(source);
  const record = {
    schema: 'edgefit/decision/1',
    decidedAt: '2026-06-01T00:00:00.000Z',
    agent: 'stand-in',
    chosen: {
      id: 'onnxruntime/fp32/t1',
      file: 'kws.fp32.onnx',
      companions: [],
      sha256: bench.model.sha256,
      bytes: statSync(source).size,
      precision: 'fp32',
      method: 'none',
      runtime: 'onnxruntime',
      threads: 1,
      reason: 'the only one',
    },
    bench,
  };
  writeFileSync(join(folder, 'decision.json'), JSON.stringify(record));
  return JSON.stringify(record);
}

/**
 * What the agent would print, for `fit MANIFEST -o DIR ...`, `bench FILE ...` and `--version`.
 *
 * @param {readonly string[]} args
 */
export function standIn(args) {
  const [command, path = ''] = args;
  if (command === '--version') return 'stand-in';
  if (command === 'fit') return fit(path, args[args.indexOf('-o') + 1] ?? '');
  return JSON.stringify(reportOf(path));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  // A while in which it can be killed.
  await sleep(Number(process.env['STAND_IN_MS'] ?? 0));
  if (process.env['STAND_IN_FAULT'] === args[0]) process.kill(process.pid, 'SIGKILL');
  process.stdout.write(standIn(args));
}
