// @ts-check
// What fitting would find on each kind of machine: reports with candidates, the chosen and the losers.
// The figures are made up after published ones; only their form is real.

import { must } from './must.js';

/** @typedef {import('../../agent/contracts/bench.ts').BenchReport} BenchReport */
/** @typedef {import('../../agent/contracts/bench.ts').CandidateRow} CandidateRow */
/** @typedef {import('../../agent/contracts/fit.ts').DecisionRecord} DecisionRecord */
/** @typedef {import('./machines.js').Machine} Machine */

/**
 * @typedef {object} SimulatedModel
 * @property {string} name
 * @property {number} ms of one inference in float on a Raspberry Pi 5
 * @property {number} bytes in float
 * @property {number} accuracy in float
 * @property {number} int8Drop what INT8 costs of it
 */

/** @type {readonly SimulatedModel[]} */
export const MODELS = [
  { name: 'kws', ms: 1.9, bytes: 210_000, accuracy: 0.921, int8Drop: 0.004 },
  { name: 'ic-resnet', ms: 6.2, bytes: 390_000, accuracy: 0.869, int8Drop: 0.006 },
  { name: 'vww', ms: 9.4, bytes: 880_000, accuracy: 0.857, int8Drop: 0.021 },
];

/** More of the metric than this is not given for speed. */
const MAX_DROP = 0.01;

/** How much faster than float, and how large, each precision is. */
const GAIN = {
  int8: { method: /** @type {const} */ ('static'), speed: 2.7, size: 0.27 },
  fp16: { method: /** @type {const} */ ('fp16'), speed: 1.05, size: 0.5 },
  fp32: { method: /** @type {const} */ ('none'), speed: 1, size: 1 },
};

/** @param {string} name @returns {SimulatedModel} */
export function modelNamed(name) {
  return MODELS.find((model) => model.name === name) ?? { ...firstModel(), name };
}

function firstModel() {
  return must(MODELS[0], 'a model');
}

/**
 * @param {Machine} machine
 * @param {SimulatedModel} model
 * @param {{ luck: number, sha256: string, now?: Date }} options luck in [0, 1): no two boards are equal
 * @returns {BenchReport}
 */
export function reportOf(machine, model, { luck, sha256, now = new Date() }) {
  const { facts } = machine;
  const rows = facts.profile.runtimes.flatMap((runtime) =>
    facts.profile.precisions
      // TensorRT alone makes FP16 faster; the others keep it for its size.
      .filter((precision) => runtime !== 'tensorrt' || precision !== 'fp32')
      .map((precision) => rowOf(machine, model, runtime, precision, luck)),
  );
  const chosen = choose(rows);
  const candidates = rows.map((row) => judged(row, chosen));
  return {
    schema: 'edgefit/bench/1',
    startedAt: now.toISOString(),
    agent: 'simulated',
    device: facts,
    model: { name: model.name, sha256, format: 'onnx', bytes: model.bytes },
    samples: { calibration: 100, evaluation: 500, labelled: true, source: 'package' },
    objective: { optimize: 'latency', maxAccuracyDrop: MAX_DROP * 100, minSqnrDb: null },
    candidates,
    notTried: facts.profile.precisions.includes('fp16')
      ? []
      : [{ precision: 'fp16', why: 'this processor has no FP16 arithmetic' }],
    warnings: [],
    chosen: chosen.id,
  };
}

/**
 * @param {Machine} machine
 * @param {SimulatedModel} model
 * @param {CandidateRow['runtime']} runtime
 * @param {CandidateRow['precision']} precision
 * @param {number} luck
 * @returns {CandidateRow}
 */
function rowOf({ facts, slowness }, model, runtime, precision, luck) {
  const { method, speed, size } = GAIN[precision];
  const threads = facts.cpu.coresOnline ?? 1;
  const onGpu = runtime === 'tensorrt';
  const onTpu =
    runtime === 'tflite' && precision === 'int8' && facts.board.id === 'coral-dev-board';
  const faster = onTpu ? 24 : onGpu ? 7 * (precision === 'fp16' ? 1.4 : 1.2) : speed;
  const overhead = runtime === 'onnxruntime' ? 1.12 : 1;
  const p50 = ((model.ms * slowness * overhead) / faster) * (0.95 + 0.1 * luck);
  const drop = precision === 'int8' ? model.int8Drop : 0;
  const isFloat = precision === 'fp32';
  return {
    id: `${runtime}/${isFloat ? precision : `${precision}-${method}`}/t${threads}`,
    precision,
    method,
    runtime,
    threads,
    bytes: Math.round(model.bytes * size),
    latencyMs: latencyOf(p50),
    throughputPerSecond: rounded(1000 / p50),
    loadMs: rounded(12 + p50),
    peakRssBytes: Math.round(32e6 + model.bytes * size * 6),
    ownOverheadMs: 0.02,
    integerCoverage: precision === 'int8' ? 0.99 : 0,
    fidelity: {
      sqnrDb: isFloat ? null : precision === 'int8' ? 31.5 : 68,
      cosine: isFloat ? 1 : 0.9994,
      top1Agreement: isFloat ? 1 : 0.991,
      samples: 500,
    },
    accuracy: { metric: 'top1', value: rounded(model.accuracy - drop), drop, samples: 500 },
    heat: { beforeCelsius: 47, afterCelsius: 52, beforeHz: null, afterHz: null },
    ...(onTpu
      ? {
          variant: {
            path: `${model.name}_edgetpu.tflite`,
            accelerator: { kind: /** @type {const} */ ('edgetpu-pcie'), device: '/dev/apex_0' },
            ops: { accelerator: 14, cpu: 2 },
          },
        }
      : {}),
    why: `${precision} is worth trying on ${facts.profile.id}`,
    verdict: 'rejected',
    reason: '',
  };
}

/** @param {number} p50 */
function latencyOf(p50) {
  return {
    p50: rounded(p50),
    p90: rounded(p50 * 1.09),
    p99: rounded(p50 * 1.31),
    mean: rounded(p50 * 1.03),
    min: rounded(p50 * 0.97),
    count: 200,
  };
}

/** The fastest that costs little enough. @param {readonly CandidateRow[]} rows */
function choose(rows) {
  const good = rows.filter(({ accuracy }) => (accuracy?.drop ?? 0) <= MAX_DROP);
  const [best] = good.toSorted((a, b) => (a.latencyMs?.p50 ?? 0) - (b.latencyMs?.p50 ?? 0));
  return must(best, 'a version that costs little');
}

/**
 * @param {CandidateRow} row
 * @param {CandidateRow} chosen
 * @returns {CandidateRow}
 */
function judged(row, chosen) {
  const [own, best] = [row.latencyMs?.p50 ?? 0, chosen.latencyMs?.p50 ?? 0];
  if (row === chosen) return { ...row, verdict: 'chosen', reason: 'the fastest within the limits' };
  const drop = (row.accuracy?.drop ?? 0) * 100;
  const reason =
    drop > MAX_DROP * 100
      ? `costs ${drop.toFixed(1)} points of top1, ${MAX_DROP * 100} are allowed`
      : `${(own / best).toFixed(1)} times as slow as ${chosen.id}`;
  return { ...row, verdict: 'rejected', reason };
}

/**
 * The record beside a kept model.
 * @param {BenchReport} bench
 * @param {{ file: string, sha256: string, bytes: number }} kept
 * @returns {DecisionRecord}
 */
export function decisionOf(bench, { file, sha256, bytes }) {
  const row = must(
    bench.candidates.find(({ id }) => id === bench.chosen),
    'the chosen',
  );
  const { id, precision, method, runtime, threads, reason } = row;
  return {
    schema: 'edgefit/decision/1',
    decidedAt: bench.startedAt,
    agent: bench.agent,
    chosen: {
      id,
      file,
      companions: [],
      sha256,
      bytes,
      precision,
      method,
      runtime,
      threads,
      reason,
    },
    bench,
  };
}

/** @param {number} value */
function rounded(value) {
  return Number(value.toPrecision(5));
}
