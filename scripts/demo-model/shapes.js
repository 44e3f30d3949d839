/**
 * The ten classes as signed distance functions: negative inside, in units of the shape's radius.
 * Only + - * / and the square root are used: these are exact in IEEE arithmetic, so the same seed
 * draws the same pixels on every machine, which sines and cosines would not promise.
 */

/** @typedef {readonly (readonly [number, number])[]} Polygon */
/** @typedef {(x: number, y: number) => number} Distance */

// Taken out once: a global costs a slow lookup per call where tests run in a context of their own.
const { abs, max, min, sqrt } = Math;

const length = (x, y) => sqrt(x * x + y * y);

const COS36 = (sqrt(5) + 1) / 4;
const COS72 = (sqrt(5) - 1) / 4;
const SIN36 = sqrt(1 - COS36 * COS36);
const SIN72 = sqrt(1 - COS72 * COS72);
const SIN60 = sqrt(3) / 2;

/** @type {Distance} */
const circle = (x, y) => length(x, y) - 0.9;

/** @type {Distance} */
const ring = (x, y) => abs(length(x, y) - 0.75) - 0.2;

/** @type {Distance} */
const crescent = (x, y) => max(length(x, y) - 0.95, 0.75 - length(x - 0.45, y));

/** A box of half sides a, b around (cx, cy). */
function box(x, y, cx, cy, a, b) {
  const dx = abs(x - cx) - a;
  const dy = abs(y - cy) - b;
  return length(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0);
}

/** @type {Distance} */
const square = (x, y) => box(x, y, 0, 0, 0.78, 0.78);

/** @type {Distance} */
const cross = (x, y) => min(box(x, y, 0, 0, 0.95, 0.28), box(x, y, 0, 0, 0.28, 0.95));

/** @type {Distance} */
const linePair = (x, y) => min(box(x, y, 0, -0.45, 0.9, 0.2), box(x, y, 0, 0.45, 0.9, 0.2));

/**
 * Distance to a polygon: to the nearest edge, negative where a ray crosses an odd number of edges.
 * @param {Polygon} corners
 * @returns {Distance}
 */
function polygon(corners) {
  return (x, y) => {
    let nearest = Infinity;
    let inside = false;
    let [px, py] = corners[corners.length - 1];
    for (const [qx, qy] of corners) {
      const ex = qx - px;
      const ey = qy - py;
      const along = ((x - px) * ex + (y - py) * ey) / (ex * ex + ey * ey);
      const t = min(1, max(0, along));
      const dx = x - px - ex * t;
      const dy = y - py - ey * t;
      nearest = min(nearest, dx * dx + dy * dy);
      if (py > y !== qy > y && x < px + (ex * (y - py)) / ey) inside = !inside;
      px = qx;
      py = qy;
    }
    return inside ? -sqrt(nearest) : sqrt(nearest);
  };
}

const triangle = polygon([
  [0, -1],
  [SIN60, 0.5],
  [-SIN60, 0.5],
]);

const hexagon = polygon([
  [1, 0],
  [0.5, SIN60],
  [-0.5, SIN60],
  [-1, 0],
  [-0.5, -SIN60],
  [0.5, -SIN60],
]);

const INNER = 0.45;
const star = polygon([
  [0, -1],
  [SIN36 * INNER, -COS36 * INNER],
  [SIN72, -COS72],
  [SIN72 * INNER, COS72 * INNER],
  [SIN36, COS36],
  [0, INNER],
  [-SIN36, COS36],
  [-SIN72 * INNER, COS72 * INNER],
  [-SIN72, -COS72],
  [-SIN36 * INNER, -COS36 * INNER],
]);

const arrow = polygon([
  [1, 0],
  [0.1, 0.8],
  [0.1, 0.28],
  [-1, 0.28],
  [-1, -0.28],
  [0.1, -0.28],
  [0.1, -0.8],
]);

/** Class number = position. */
export const shapes = Object.freeze([
  { name: 'circle', distance: circle },
  { name: 'ring', distance: ring },
  { name: 'square', distance: square },
  { name: 'triangle', distance: triangle },
  { name: 'cross', distance: cross },
  { name: 'star', distance: star },
  { name: 'crescent', distance: crescent },
  { name: 'arrow', distance: arrow },
  { name: 'line pair', distance: linePair },
  { name: 'hexagon', distance: hexagon },
]);

/**
 * A bar of the given half width through (cx, cy) along the unit vector (ux, uy); image units.
 * @returns {Distance}
 */
export function bar(cx, cy, ux, uy, halfLength, halfWidth) {
  return (x, y) => {
    const along = (x - cx) * ux + (y - cy) * uy;
    const across = (y - cy) * ux - (x - cx) * uy;
    return box(along, across, 0, 0, halfLength, halfWidth);
  };
}
