import type { elementTypes } from '../contracts/element-types.ts';
import type { RuntimeName } from '../contracts/facts.ts';

export type TensorData =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

export type TensorType = (typeof elementTypes)[number] | 'string';

/** A dense tensor, row-major. `float16` holds raw bits in a Uint16Array, `bool` 0/1 in a Uint8Array. */
export interface Tensor {
  readonly dtype: TensorType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** One sample: a value for every input of the model. */
export type Feeds = Readonly<Record<string, Tensor>>;
/** What one run gives: a value for every output of the model. */
export type Outputs = Readonly<Record<string, Tensor>>;

export interface TensorDescription {
  readonly name: string;
  readonly dtype: TensorType;
  /** A string is a symbolic dimension, null an unnamed one. */
  readonly shape: readonly (number | string | null)[];
  /** Of integers that stand for real numbers: real = (stored - zeroPoint) * scale. */
  readonly quantization?: QuantizationParameters;
}

export interface QuantizationParameters {
  readonly scale: number;
  readonly zeroPoint: number;
}

export interface SessionDescription {
  readonly inputs: readonly TensorDescription[];
  readonly outputs: readonly TensorDescription[];
  /** What a person who looks at its speed should know of how the model runs, one line each. */
  readonly notes?: readonly string[];
}

/** A library that takes over the nodes it can run, e.g. libedgetpu.so.1 (TFLite only). */
export interface DelegateOptions {
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface OpenOptions {
  readonly threads: number;
  /**
   * `disabled` keeps every tensor name (calibration); `all` is what production runs. For TFLite
   * `disabled` is its own kernels, and everything else XNNPACK.
   */
  readonly optimization: 'disabled' | 'basic' | 'extended' | 'all';
  /** Reuse freed tensor memory inside the runtime: faster, a larger peak. */
  readonly arena: boolean;
  /** Path prefix for a per-kernel profile; written on close. */
  readonly profilePrefix?: string;
  /**
   * Let kernels repack their weights (the default). `false` is slower and only for looking: a
   * profile then shows the shape of every weight.
   */
  readonly prepack?: boolean;
  /** Instead of XNNPACK (TFLite only). */
  readonly delegate?: DelegateOptions;
  /** Names inputs and outputs as this signature of the file does (TFLite only). */
  readonly signature?: string;
}

/** An open model. Lives in a child process: a crash there must never reach the agent. */
export interface Session {
  describe(): SessionDescription;
  run(feeds: Feeds): Promise<Outputs>;
  /**
   * Checks and converts the feeds once and returns a function that runs on them, as often as wanted,
   * with as little of our own work as can be: for timing.
   */
  prepare?(feeds: Feeds): () => Promise<unknown>;
  close(): Promise<void>;
}

export interface Runtime {
  readonly name: RuntimeName;
  /** Version of the native library, loading it. */
  version(): Promise<string>;
  open(modelPath: string, options: OpenOptions): Promise<Session>;
}
