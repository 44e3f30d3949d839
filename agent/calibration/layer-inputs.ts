import type { LayerInput, LayerMoments } from '../model/statistics.ts';
import type { Feeds, Session } from '../runtime/types.ts';
import { MomentsAccumulator } from './layer-moments.ts';

/** Most samples that the model is run on; rows are taken evenly from all of them. */
export const MOST_LAYER_SAMPLES = 16;
/** Weights that are settled together: more cost their cube. */
const BLOCK = 384;
const MOST_BYTES = 64 * 2 ** 20;
/** Products that the sums may take for all layers. */
const MOST_PRODUCTS = 2 ** 30;
const FEWEST_ROWS = 768;
const ROWS_PER_WEIGHT = 3;
const MOST_ROWS = 2048;

/** What a layer will cost, decided before anything is run. */
interface Planned {
  readonly layer: LayerInput;
  readonly rows: number;
}

/** The layers that fit into the limits, small ones first: their rounding errors average out least. */
export function planLayers(layers: readonly LayerInput[]): Planned[] {
  const taken: Planned[] = [];
  let bytes = 0;
  let products = 0;
  for (const layer of layers.toSorted((a, b) => entriesOf(a) - entriesOf(b))) {
    const width = Math.min(layer.size, BLOCK);
    const rows = Math.max(FEWEST_ROWS, Math.min(MOST_ROWS, ROWS_PER_WEIGHT * width));
    bytes += entriesOf(layer) * (Float64Array.BYTES_PER_ELEMENT + Float32Array.BYTES_PER_ELEMENT);
    products += (entriesOf(layer) * rows) / 2;
    if (bytes > MOST_BYTES || products > MOST_PRODUCTS) break;
    taken.push({ layer, rows });
  }
  return taken;
}

function entriesOf({ size, groups }: LayerInput): number {
  return groups * size * Math.min(size, BLOCK);
}

export interface LayerInputOptions {
  readonly layers: readonly LayerInput[];
  /** How many samples there are, where that is known. */
  readonly count: number | null;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a model whose layer inputs were made outputs on a few samples and returns the moments of each
 * layer's input, by key. The rows are chosen at random, the same ones at every run.
 */
export async function collectLayerInputs(
  session: Session,
  samples: AsyncIterable<Feeds>,
  { layers, count, signal }: LayerInputOptions,
): Promise<Map<string, LayerMoments>> {
  const planned = planLayers(layers).map(({ layer, rows }, seed) => {
    return { layer, rows, sums: new MomentsAccumulator(layer, BLOCK, seed) };
  });
  const most = Math.min(count ?? MOST_LAYER_SAMPLES, MOST_LAYER_SAMPLES);
  let done = 0;
  for await (const feeds of samples) {
    signal?.throwIfAborted();
    const outputs = await session.run(feeds);
    for (const { layer, rows, sums } of planned) {
      const tensor = outputs[layer.tensor] ?? feeds[layer.tensor];
      if (!(tensor?.data instanceof Float32Array)) continue;
      sums.add(tensor.data, tensor.shape, Math.ceil(rows / most));
    }
    done += 1;
    if (done === most) break;
  }
  const found = new Map<string, LayerMoments>();
  for (const { layer, sums } of planned) {
    const moments = sums.result();
    if (moments !== undefined) found.set(layer.key, moments);
  }
  return found;
}
