import type { InputSpec } from '../../contracts/manifest.ts';
import type { Feeds, Tensor, TensorDescription } from '../../runtime/types.ts';

/** One value for every input of the model, and what is known about the right answer. */
export interface Sample {
  readonly feeds: Feeds;
  /** A class, or a list of integers (a character sequence, padded with negative numbers). */
  readonly label?: number | readonly number[];
  /** For messages: the file, or the array and the position in it. */
  readonly name: string;
}

/** Samples that can be iterated any number of times; one is in memory at a time, a few ahead. */
export interface SampleSource extends AsyncIterable<Sample> {
  /** Null when only reading tells (a command). */
  readonly count: number | null;
  readonly labelled: boolean;
  /** `100 of 1000 images in data/imagenet`. */
  readonly describe: string;
  /** Worth telling the user once: few samples, resampled audio, arrays that were ignored. */
  readonly warnings: readonly string[];
}

/** An input of the model with the way its values are made. */
export interface InputPlan {
  readonly name: string;
  readonly spec: InputSpec;
  readonly description: TensorDescription;
  /** Made once for `constant` inputs. */
  readonly constant?: Tensor;
}

/** What a source yields before range and labels are applied to it. */
export interface RawSource {
  readonly count: number | null;
  readonly labelled: boolean;
  /** `images in FOLDER`. */
  readonly what: string;
  readonly warnings: readonly string[];
  /** Samples from index `from` to before `to` (null: to the end). */
  read(from: number, to: number | null, signal?: AbortSignal): AsyncGenerator<Sample>;
}
