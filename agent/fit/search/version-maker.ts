import type { Collection } from '../../calibration/observers/statistics.ts';
import type { Scheme } from '../../contracts/scheme.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Model } from '../../model/open.ts';
import type { Statistics } from '../../model/statistics.ts';
import type { OpReport } from '../../quantize/report.ts';
import type { Found } from '../make/already-quantized.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';

/** A version of a model, with what became of every operation. */
export interface MadeVersion {
  readonly model: Model;
  readonly ops: readonly OpReport[];
  /** What was found in a model that is quantized already. */
  readonly found?: Found;
}

/** Further forms of a static version: channels equalized, weights or biases fitted to samples. */
export type Refinement = 'equalized' | 'rounded' | 'biased';

/** Makes quantized versions of one model, whatever its format; what they share is done once. */
export interface VersionMaker {
  /** Worth telling the user once everything is made. */
  readonly warnings: readonly string[];
  /** What it can refine static versions by. */
  readonly refinements: ReadonlySet<Refinement>;
  /** The model quantized by a scheme. Throws QuantizeError, ModelError or RuntimeFailure. */
  make(scheme: Scheme): Promise<MadeVersion>;
  /** What the calibration samples showed, with all that `observer` needs. */
  collection(observer: Scheme['observer']): Promise<Collection>;
  /** Names and rules of a scheme that match no operation of the model. */
  unmatched(scheme: Scheme): Promise<readonly string[]>;
  /**
   * What static quantization by a scheme starts from, where the roundings of its layers can be
   * simulated one by one in a single model.
   */
  parts?(scheme: Scheme): Promise<{ model: OnnxModel; statistics: Statistics }>;
}

/** What a maker works with. */
export interface MakerOptions<M extends Model> {
  readonly float: M;
  readonly calibration: SampleJob | null;
  readonly calibrationCount: number | null;
  readonly threads: number;
  /** Values of tensors that calibration may hold at once. */
  readonly exposedBytes?: number | undefined;
  /** Ranges of an earlier calibration, in place of samples. */
  readonly ranges?: Collection | null | undefined;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}
