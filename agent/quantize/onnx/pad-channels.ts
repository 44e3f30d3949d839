import { DEPTHWISE_WIDTH } from './conv-cost.ts';
import { isDepthwise } from './conv-shape.ts';
import type { ConvShape } from './conv-shape.ts';
import { foldedShape, integerMicroseconds, planFold } from './fold-pixels.ts';
import type { IntegerWeights, WeightLayout } from '../weights.ts';

/** Channels of a convolution once zeros are added to fill vectors. */
export interface ChannelPad {
  readonly inputs: number;
  readonly outputs: number;
}

/** A convolution at its size; and what makes its input and reads its output, where that is all. */
export interface PadSite<Node> {
  readonly node: Node;
  readonly shape: ConvShape;
  /** The one convolution that reads what this one makes, when nothing else does. */
  readonly next?: Node | undefined;
  /** Whether pixels may be folded: a fold writes sizes down. */
  readonly mayFold: boolean;
}

/**
 * The depthwise kernel works on 16 channels at once and is slow where they do not come out even. Where
 * a depthwise convolution stands between two full ones and nobody else sees its channels, these make
 * and read further ones of zeros: more products for them, but less time in all.
 */
export function planPads<Node>(sites: readonly PadSite<Node>[]): ReadonlyMap<Node, ChannelPad> {
  const byNode = new Map(sites.map((site) => [site.node, site]));
  const pads = new Map<Node, ChannelPad>();
  const now = ({ node, shape }: PadSite<Node>) => padded(shape, pads.get(node));
  for (const before of sites) {
    const depthwise = before.next === undefined ? undefined : byNode.get(before.next);
    const after = depthwise?.next === undefined ? undefined : byNode.get(depthwise.next);
    if (depthwise === undefined || after === undefined) continue;
    const { outputs } = depthwise.shape;
    const isBetween = before.shape.groups === 1 && after.shape.groups === 1;
    if (!isBetween || !isDepthwise(depthwise.shape) || outputs % DEPTHWISE_WIDTH === 0) continue;
    const full = Math.ceil(outputs / DEPTHWISE_WIDTH) * DEPTHWISE_WIDTH;
    const changed = [
      { site: before, pad: { ...channels(now(before)), outputs: full } },
      { site: depthwise, pad: { inputs: full, outputs: full } },
      { site: after, pad: { ...channels(now(after)), inputs: full } },
    ];
    const old = changed.reduce((sum, { site }) => sum + microseconds(now(site), site), 0);
    const made = changed.reduce(
      (sum, { site, pad }) => sum + microseconds(padded(site.shape, pad), site),
      0,
    );
    if (made < old * WORTHWHILE_SHARE)
      for (const { site, pad } of changed) pads.set(site.node, pad);
  }
  return pads;
}

/** Less gain than a tenth is within the error of the cost estimate. */
const WORTHWHILE_SHARE = 0.9;

const channels = ({ inputs, outputs }: ConvShape): ChannelPad => ({ inputs, outputs });

function microseconds(shape: ConvShape, { mayFold }: { readonly mayFold: boolean }): number {
  const fold = mayFold ? planFold(shape) : undefined;
  return integerMicroseconds(fold === undefined ? shape : foldedShape(fold));
}

/** A convolution with its channels filled up. */
export function padded(shape: ConvShape, pad: ChannelPad | undefined): ConvShape {
  if (pad === undefined) return shape;
  return { ...shape, ...pad, groups: isDepthwise(shape) ? pad.outputs : shape.groups };
}

/** Weights [M, C / groups, ...] with zeros for further channels; scales of these are those of the last. */
export function padIntegers(
  made: IntegerWeights,
  { dims, groups }: WeightLayout,
  { inputs, outputs }: ChannelPad,
): { readonly made: IntegerWeights; readonly dims: readonly number[] } {
  const [own = 0, seen = 0, ...kernel] = dims;
  const taps = kernel.reduce((product, size) => product * size, 1);
  // Every channel of a depthwise convolution sees one, however many there are.
  const sees = groups === 1 ? inputs : seen;
  const weights = new Int8Array(outputs * sees * taps);
  for (let m = 0; m < own; m++) {
    const from = m * seen * taps;
    weights.set(made.weights.subarray(from, from + seen * taps), m * sees * taps);
  }
  return {
    dims: [outputs, sees, ...kernel],
    made: {
      weights,
      scales: filled(made.scales, own, outputs),
      biasScales: filled(made.biasScales, own, outputs),
      ...(made.bias === undefined ? {} : { bias: zeros(made.bias, outputs) }),
    },
  };
}

function filled(scales: Float32Array, own: number, outputs: number): Float32Array {
  if (scales.length !== own) return scales;
  return Float32Array.from({ length: outputs }, (_, m) => scales[Math.min(m, own - 1)] ?? 1);
}

function zeros(bias: Int32Array, outputs: number): Int32Array {
  const all = new Int32Array(outputs);
  all.set(bias);
  return all;
}
