/** The committed samples: which rows are what, and the same pictures as network input. */
import { drawSample, SIZE } from './draw.js';
import { INPUT } from './export.js';
import { encodeNpz, npy } from './npz.js';

/** Streams of pictures; no picture of one stream is in another. */
export const STREAMS = Object.freeze({ training: 1, calibration: 2, evaluation: 3 });
export const ROWS = Object.freeze({ calibration: 256, evaluation: 800 });

/** value = (pixel - MEAN) / DEVIATION; both are in the manifest too. */
export const MEAN = 128;
export const DEVIATION = 64;

/**
 * The first `count` rows of a range of samples.npz; all of them when not told.
 * @param {'calibration' | 'evaluation'} range
 * @returns {{ label: number, pixels: Uint8Array }[]}
 */
export function drawRows(range, count = ROWS[range]) {
  return Array.from({ length: count }, (_, i) => drawSample(STREAMS[range], i));
}

/** Puts picture number `n` of a batch into the network's input. */
export function fillInput(input, n, pixels) {
  for (let i = 0; i < pixels.length; i += 1)
    input[n * pixels.length + i] = (pixels[i] - MEAN) / DEVIATION;
}

/** uint8 pictures [rows][SIZE][SIZE][1] and int32 labels. */
export function encodeSamples(rows) {
  const labels = Buffer.alloc(rows.length * 4);
  rows.forEach(({ label }, i) => labels.writeInt32LE(label, i * 4));
  const pixels = Buffer.concat(rows.map((row) => row.pixels));
  return encodeNpz({
    [INPUT]: npy('|u1', [rows.length, SIZE, SIZE, 1], pixels),
    labels: npy('<i4', [rows.length], labels),
  });
}

/**
 * The package manifest, edgefit/model/1. ONNX wants channels first, TFLite last.
 * @param {'onnx' | 'tflite'} format
 */
export function manifest(format = 'onnx') {
  const rows = ROWS.calibration + ROWS.evaluation;
  const image = {
    width: SIZE,
    height: SIZE,
    color: 'gray',
    layout: format === 'onnx' ? 'nchw' : 'nhwc',
    mean: [MEAN],
    std: [DEVIATION],
  };
  return {
    schema: 'edgefit/model/1',
    name: 'demo-shapes',
    version: '1.0.0',
    licence: 'Apache-2.0',
    model: `shapes.${format}`,
    inputs: { [INPUT]: { image } },
    task: { kind: 'classification', output: 'logits', labelOffset: 0 },
    samples: {
      calibration: { path: 'samples.npz', from: 0, to: ROWS.calibration },
      evaluation: { path: 'samples.npz', from: ROWS.calibration, to: rows },
    },
  };
}

/** The manifest file, laid out as the formatter of this project likes it: short arrays on one line. */
export function encodeManifest(format = 'onnx') {
  const text = JSON.stringify(manifest(format), null, 2);
  return `${text.replaceAll(/\[\s+(\d+)\s+\]/g, '[$1]')}\n`;
}
