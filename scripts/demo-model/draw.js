import { bell, between, randomSource, seedOf } from './random.js';
import { bar, shapes } from './shapes.js';

// Taken out once: a global costs a slow lookup per call where tests run in a context of their own.
const { floor, max, min, round, sqrt } = Math;

export const SIZE = 32;
export const CLASSES = shapes.length;

/** A camera of 4 bits: sixteen grey levels keep the committed samples small. */
const LEVELS = 16;
const GREY_STEP = 255 / (LEVELS - 1);

/** How hard the pictures are; all brightness is in 0..1, all lengths are in pixels. */
const HARD = Object.freeze({
  radius: [8, 13],
  stretch: [0.85, 1.18],
  contrast: [0.3, 0.7],
  edge: [0.8, 2.4],
  noise: [0.02, 0.07],
  slope: [0, 0.3],
  occluded: [0.25, 0.25],
  occluderHalfWidth: [0.8, 1.6],
  clutter: [0, 4],
});

/** Where training starts: the same scenes, large and clean. */
const EASY = Object.freeze({
  radius: [11, 13],
  stretch: [1, 1],
  contrast: [0.6, 0.7],
  edge: [0.8, 1],
  noise: [0.01, 0.02],
  slope: [0, 0],
  occluded: [0, 0],
  occluderHalfWidth: [0.8, 2],
  clutter: [0, 0],
});

/** The ranges between HARD (ease 0) and EASY (ease 1). */
function rangesAt(ease) {
  const mix = ([hardLow, hardHigh], [easyLow, easyHigh]) => [
    hardLow + (easyLow - hardLow) * ease,
    hardHigh + (easyHigh - hardHigh) * ease,
  ];
  return Object.fromEntries(Object.keys(HARD).map((name) => [name, mix(HARD[name], EASY[name])]));
}

/** A random direction: a point of the unit disc, normalised (no sine needed). */
function direction(random) {
  for (;;) {
    const x = between(random, -1, 1);
    const y = between(random, -1, 1);
    const r = sqrt(x * x + y * y);
    if (r > 0.1 && r <= 1) return [x / r, y / r];
  }
}

/** The shape, turned, scaled, stretched and moved, as a distance in pixels. */
function placedShape(random, label, ranges) {
  const radius = between(random, ...ranges.radius);
  const stretch = between(random, ...ranges.stretch);
  const [cos, sin] = direction(random);
  const room = SIZE / 2 - radius * 0.9;
  const cx = SIZE / 2 + between(random, -room, room);
  const cy = SIZE / 2 + between(random, -room, room);
  const { distance } = shapes[label];
  return (x, y) => {
    const u = ((x - cx) * cos + (y - cy) * sin) / radius;
    const v = ((y - cy) * cos - (x - cx) * sin) / radius;
    return distance(u * stretch, v / stretch) * radius;
  };
}

/** Short thin strokes that belong to no class. */
function clutter(random, background, ranges) {
  const strokes = [];
  const count = floor(between(random, ...ranges.clutter));
  for (let i = 0; i < count; i += 1) {
    const [ux, uy] = direction(random);
    const [cx, cy] = [between(random, 0, SIZE), between(random, 0, SIZE)];
    const distance = bar(cx, cy, ux, uy, between(random, 0.5, 3), 0.5);
    strokes.push({ distance, grey: background + between(random, -0.3, 0.3), edge: 1 });
  }
  return strokes;
}

/** A bar in front of the shape, or nothing. */
function occluder(random, ranges) {
  if (random() >= ranges.occluded[0]) return [];
  const [ux, uy] = direction(random);
  const [cx, cy] = [between(random, 8, 24), between(random, 8, 24)];
  const halfWidth = between(random, ...ranges.occluderHalfWidth);
  return [{ distance: bar(cx, cy, ux, uy, SIZE, halfWidth), grey: random(), edge: 1 }];
}

/** Background and layers from back to front, as data. */
function compose(random, label, ranges) {
  const contrast = between(random, ...ranges.contrast);
  const dark = between(random, 0.08, 0.92 - contrast);
  const bright = dark + contrast;
  const onDark = random() < 0.5;
  const background = onDark ? dark : bright;
  const edge = between(random, ...ranges.edge);
  const shape = {
    distance: placedShape(random, label, ranges),
    grey: onDark ? bright : dark,
    edge,
  };
  const [ux, uy] = direction(random);
  const slope = between(random, ...ranges.slope) / SIZE;
  return {
    background,
    light: (x, y) => ((x - SIZE / 2) * ux + (y - SIZE / 2) * uy) * slope,
    layers: [...clutter(random, background, ranges), shape, ...occluder(random, ranges)],
    noise: between(random, ...ranges.noise),
  };
}

function greyAt(scene, x, y) {
  let grey = scene.background;
  for (const { distance, grey: ink, edge } of scene.layers) {
    const cover = min(1, max(0, 0.5 - distance(x, y) / edge));
    grey += (ink - grey) * cover;
  }
  return grey + scene.light(x, y);
}

/**
 * Draws one picture. The label is `index` modulo the number of classes, so that every range of
 * indices is balanced.
 * @param {number} seed the stream: training, calibration and evaluation use different ones
 * @param {number} index which picture of the stream
 * @param {number} [ease] 0 (the default, as committed) to 1
 * @returns {{ label: number, pixels: Uint8Array }} SIZE * SIZE grey bytes, row by row
 */
export function drawSample(seed, index, ease = 0) {
  const random = randomSource(seedOf(seed, index));
  const label = index % CLASSES;
  const scene = compose(random, label, rangesAt(ease));
  const pixels = new Uint8Array(SIZE * SIZE);
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const grey = greyAt(scene, x + 0.5, y + 0.5) + bell(random) * scene.noise;
      const level = round(min(1, max(0, grey)) * (LEVELS - 1));
      pixels[y * SIZE + x] = level * GREY_STEP;
    }
  }
  return { label, pixels };
}
