/**
 * Draws the pictures, trains the demo model and writes demo/: `node scripts/demo-model/train.js [DIR]`.
 * Everything follows from the seeds: the same code gives the same weights on every machine.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CLASSES, drawSample, SIZE } from './draw.js';
import { exportOnnx } from './export.js';
import { createEngine } from './kernels.js';
import { argmax, createAdam, lossGradient } from './learn.js';
import { createNetwork } from './network.js';
import { drawRows, encodeSamples, fillInput, encodeManifest, STREAMS } from './samples.js';

const BATCH = 16;
const STEPS = 2500;
const SEED = 1;
const PEAK_RATE = 0.006;
const WARM_UP_STEPS = 50;
/** The pictures get harder over this part of the steps; without it, learning takes far longer. */
const EASY_PART = 0.4;
const WEIGHT_DECAY = 0.01;
const LABEL_SMOOTHING = 0.05;
const MEMORY_MB = 256;
const REPORT_EVERY = 100;

const rateAt = (step) => PEAK_RATE * Math.min(1, (step + 1) / WARM_UP_STEPS) * (1 - step / STEPS);
const easeAt = (step) => Math.max(0, 1 - step / (EASY_PART * STEPS));

/** Loads a batch; returns its labels. */
function loadBatch(input, samples) {
  samples.forEach(({ pixels }, n) => fillInput(input, n, pixels));
  return samples.map(({ label }) => label);
}

const countRight = (logits, labels) =>
  labels.filter((label, n) => argmax(logits, n * CLASSES, CLASSES) === label).length;

/** Trains in place. Every step sees pictures that were never drawn before. */
function train(network, input) {
  const step = createAdam(network.parameters, WEIGHT_DECAY);
  let right = 0;
  for (let i = 0; i < STEPS; i += 1) {
    const draw = (_, n) => drawSample(STREAMS.training, i * BATCH + n, easeAt(i));
    const labels = loadBatch(input, Array.from({ length: BATCH }, draw));
    const logits = network.forward(input, true);
    right += countRight(logits, labels);
    network.backward(lossGradient(logits, labels, LABEL_SMOOTHING));
    step(rateAt(i));
    if ((i + 1) % REPORT_EVERY === 0) {
      const share = (100 * right) / (REPORT_EVERY * BATCH);
      console.error(`step ${i + 1} of ${STEPS}: ${share.toFixed(1)} % of new pictures right`);
      right = 0;
    }
  }
}

/** Share of samples whose largest logit is the label. */
function accuracy(network, input, samples) {
  let right = 0;
  for (let i = 0; i < samples.length; i += BATCH) {
    const labels = loadBatch(input, samples.slice(i, i + BATCH));
    right += countRight(network.forward(input, false), labels);
  }
  return right / samples.length;
}

function main(folder) {
  const engine = createEngine(MEMORY_MB);
  const input = engine.floats(BATCH * SIZE * SIZE);
  const network = createNetwork(engine, { batch: BATCH, seed: SEED });
  const started = performance.now();
  train(network, input);
  const [calibration, evaluation] = [drawRows('calibration'), drawRows('evaluation')];
  const top1 = accuracy(network, input, evaluation);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'shapes.onnx'), exportOnnx(network));
  writeFileSync(join(folder, 'samples.npz'), encodeSamples([...calibration, ...evaluation]));
  writeFileSync(join(folder, 'manifest.json'), encodeManifest());
  const minutes = (performance.now() - started) / 60000;
  console.log(`held-out top-1 ${(100 * top1).toFixed(2)} % after ${minutes.toFixed(1)} minutes`);
}

main(process.argv[2] ?? join(dirname(dirname(import.meta.dirname)), 'demo'));
