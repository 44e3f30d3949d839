import { z } from 'zod';

/*
 * What `--exportLayerInfo` with `--profilingVerbosity=detailed` says of each layer of an engine. Only
 * convolutions and plain products tell about their weights; what the compiler fused into one kernel
 * ("ForeignNode", "Myelin") does not.
 */

const tensorInfo = z.object({ Dimensions: z.array(z.number()).optional() });
const layerInfo = z.object({
  Name: z.string().optional(),
  LayerType: z.string().optional(),
  Outputs: z.array(tensorInfo).optional(),
  Weights: z.object({ Type: z.string(), Count: z.number() }).optional(),
});
const infoSchema = z.object({ Layers: z.array(z.union([layerInfo, z.string()])) });

/**
 * Share of multiply-accumulates in layers with 8-bit weights: of a convolution the weights times the
 * pixels of its output. Null where a layer does not tell (fused ones), or none has weights.
 */
export function integerShare(text: string): number | null {
  const layers = readLayers(text);
  if (layers === null) return null;
  let [integer, all] = [0, 0];
  for (const layer of layers) {
    if (typeof layer === 'string' || isOpaque(layer)) return null;
    if (layer.Weights === undefined) continue;
    const work = layer.Weights.Count * pixelsOf(layer.Outputs?.[0]?.Dimensions ?? []);
    all += work;
    if (/^int8$/i.test(layer.Weights.Type)) integer += work;
  }
  return all === 0 ? null : integer / all;
}

function readLayers(text: string): z.infer<typeof infoSchema>['Layers'] | null {
  try {
    return infoSchema.parse(JSON.parse(text)).Layers;
  } catch {
    return null; // Older versions write names only; the graph tells instead.
  }
}

function isOpaque({ Name: name = '', LayerType: type = '' }: z.infer<typeof layerInfo>): boolean {
  return /myelin|foreignnode/i.test(`${name} ${type}`);
}

/** Of [N, C, ...spatial]: how often the weights are applied for one sample. */
function pixelsOf(dims: readonly number[]): number {
  return dims.slice(2).reduce((product, size) => product * size, 1);
}
