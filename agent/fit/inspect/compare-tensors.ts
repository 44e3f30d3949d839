import { TensorErrorMeter } from '../../bench/tensor-error.ts';
import type { TensorError } from '../../bench/tensor-error.ts';
import type { Feeds, Outputs, Session } from '../../runtime/types.ts';
import { messageOf } from '../../util/errors.ts';

/** Runs in a child process: two models over the same samples, tensor by tensor. */

/** A tensor under its name in the float model, and in the quantized one. */
export interface ComparedName {
  readonly tensor: string;
  readonly read: string;
}

export interface CompareSessions {
  readonly float: Session;
  readonly quantized: Session;
  /** Each layer on its own (`layerModel`); undefined when it does not load. */
  readonly layers: Session | undefined;
}

export interface ComparePlan {
  readonly names: readonly ComparedName[];
  /** What the layers take from the float model. */
  readonly feeds: readonly { readonly tensor: string; readonly input: string }[];
}

export interface ComparedTensor {
  readonly tensor: string;
  readonly values: TensorError;
  /** What the layer adds itself; null when it could not be measured. */
  readonly own: TensorError | null;
}

export interface ComparedTensors {
  readonly samples: number;
  readonly tensors: readonly ComparedTensor[];
  /** Tensors whose number of values differs. */
  readonly unlike: readonly string[];
  /** Why the layers could not be run on their own. */
  readonly problem?: string | undefined;
}

interface Meters {
  readonly all: TensorErrorMeter;
  readonly own: TensorErrorMeter;
}

/** Memory: the tensors of one sample, and a few numbers per tensor. */
export async function compareTensors(
  sessions: CompareSessions,
  { names, feeds }: ComparePlan,
  samples: AsyncIterable<{ readonly feeds: Feeds }>,
  onSample: (done: number) => void,
): Promise<ComparedTensors> {
  const meters = new Map(names.map(({ tensor }) => [tensor, newMeters()]));
  const unlike = new Set<string>();
  let [count, layers, problem] = [0, sessions.layers, undefined as string | undefined];
  for await (const sample of samples) {
    const wanted = await sessions.float.run(sample.feeds);
    const given = await sessions.quantized.run(feedsFor(sessions.quantized, sample.feeds));
    for (const { tensor, read } of names) {
      if (!add(meters.get(tensor)?.all, wanted[tensor], given[read])) unlike.add(tensor);
    }
    if (layers !== undefined) {
      try {
        const handed = feeds.map(({ tensor, input }) => [input, wanted[tensor]] as const);
        const all = { ...sample.feeds, ...toFeeds(handed) };
        const own = await layers.run(feedsFor(layers, all));
        for (const { tensor, read } of names)
          add(meters.get(tensor)?.own, wanted[tensor], own[read]);
      } catch (error) {
        [layers, problem] = [undefined, messageOf(error)];
      }
    }
    onSample(++count);
  }
  const tensors = names.flatMap(({ tensor }): ComparedTensor[] => {
    const found = meters.get(tensor);
    if (found === undefined || unlike.has(tensor)) return [];
    const own = layers === undefined ? null : found.own.result();
    return [{ tensor, values: found.all.result(), own }];
  });
  return { samples: count, tensors, unlike: [...unlike], problem };
}

function newMeters(): Meters {
  return { all: new TensorErrorMeter(), own: new TensorErrorMeter() };
}

function add(
  meter: TensorErrorMeter | undefined,
  wanted: Outputs[string] | undefined,
  given: Outputs[string] | undefined,
): boolean {
  if (meter === undefined || wanted === undefined || given === undefined) return false;
  return meter.add(wanted, given);
}

/** Only what a model takes: the quantized one may have lost an input that nothing used. */
function feedsFor(session: Session, feeds: Feeds): Feeds {
  return toFeeds(session.describe().inputs.map(({ name }) => [name, feeds[name]] as const));
}

function toFeeds(entries: readonly (readonly [string, Feeds[string] | undefined])[]): Feeds {
  return Object.fromEntries(
    entries.flatMap(([name, tensor]) => (tensor === undefined ? [] : [[name, tensor] as const])),
  );
}
