// @ts-check
// What the peer reached on a package, from its table of results.

/** How much longer than this, or larger, makes the peer's cost of a package worth halving. */
const COSTLY_SECONDS = 2;
const COSTLY_MB = 250;
/** Min-max, per channel, u8 activations: what our `int8-static` is; the second after a change of opset. */
const LIKE_FOR_LIKE = ['u8s8-minmax', 'u8s8-minmax+opset17'];

/**
 * One row of results.json, as far as it is read here.
 * @typedef {object} PeerRow
 * @property {string} variant
 * @property {boolean} ok
 * @property {number} processSeconds
 * @property {number} peakRssMB
 * @property {number | null} sqnrDb
 * @property {boolean} identicalToFloat
 * @property {number | null} ms1
 * @property {number} floatMs1
 */

/**
 * @typedef {object} Peer
 * @property {string | null} best the variant whose file lies in best/
 * @property {{ variant: string, sqnrDb: number } | null} bestStatic
 *   most accurate static file that runs and has something quantized
 * @property {{ variant: string, perFloat: number, ms1: number, isBest: boolean } | null} likeForLike
 *   latency of its min-max file, relative to float in the same run
 * @property {{ seconds: number, peakMB: number, costly: boolean } | null} cost of min-max
 */

/**
 * @param {{ best: string | null, rows: readonly PeerRow[] } | undefined} results of one package
 * @returns {Peer}
 */
export function peerOf(results) {
  const { best, rows } = results ?? { best: null, rows: [] };
  return {
    best,
    bestStatic: bestStatic(rows),
    likeForLike: likeForLike(rows, best),
    cost: cost(rows),
  };
}

/** @param {readonly PeerRow[]} rows */
function bestStatic(rows) {
  const [first] = rows
    .flatMap(({ variant, ok, sqnrDb, identicalToFloat }) =>
      ok && variant !== 'dynamic' && !identicalToFloat && sqnrDb !== null
        ? [{ variant, sqnrDb }]
        : [],
    )
    .toSorted((a, b) => b.sqnrDb - a.sqnrDb);
  return first ?? null;
}

/**
 * @param {readonly PeerRow[]} rows
 * @param {string | null} best
 */
function likeForLike(rows, best) {
  const row = rows.find(
    ({ variant, ok, identicalToFloat }) =>
      ok && LIKE_FOR_LIKE.includes(variant) && !identicalToFloat,
  );
  if (row === undefined || row.ms1 === null) return null;
  const { variant, ms1, floatMs1 } = row;
  return { variant, perFloat: ms1 / floatMs1, ms1, isBest: variant === best };
}

/** What making the min-max file cost, also where the file cannot be used. @param {readonly PeerRow[]} rows */
function cost(rows) {
  const tried = rows.filter(({ variant }) => LIKE_FOR_LIKE.includes(variant));
  const row = tried.find(({ ok }) => ok) ?? tried[0];
  if (row === undefined) return null;
  const { processSeconds: seconds, peakRssMB: peakMB } = row;
  return { seconds, peakMB, costly: seconds > COSTLY_SECONDS || peakMB > COSTLY_MB };
}
