import type { InputFlags } from '../calibration/inputs.ts';
import type { BenchReport, CandidateRow, RowVariant } from '../contracts/bench.ts';
import type { Facts, Precision, RuntimeName } from '../contracts/facts.ts';
import type { InspectReport } from '../contracts/inspect.ts';
import type { ImageSpec } from '../contracts/manifest.ts';
import type { QuantizeReport } from '../contracts/quantize.ts';
import type { ModelInput } from '../contracts/recorded.ts';
import type {
  AUTO,
  Scheme,
  SchemeFormat,
  SchemeInterface,
  SchemeName,
  SchemeObserver,
} from '../contracts/scheme.ts';
import type { DelegateOptions } from '../runtime/types.ts';

/** What planning needs to know about a model. */
export interface ModelSummary {
  readonly name: string;
  readonly format: 'onnx' | 'tflite';
  readonly bytes: number;
  /** Operator type -> number of nodes, branches included. */
  readonly opCounts: ReadonlyMap<string, number>;
  readonly weightBytes: number;
  /** LSTM, GRU or RNN. */
  readonly hasRecurrent: boolean;
  readonly hasConv: boolean;
  /** MatMul or Gemm with constant weights. */
  readonly hasMatMul: boolean;
  readonly alreadyQuantized: boolean;
  /** It is, and int8-static can bring it into a form that may run faster. */
  readonly convertible?: boolean;
  /** How the file is quantized, where that is not plain: `8-bit weights, activations ...`. */
  readonly form?: string;
  /** The precision of the file itself: its weights, or int8 when it is already quantized. */
  readonly precision: Precision;
  /** Names of the inputs that take float values. */
  readonly floatInputs: readonly string[];
}

/** What `--precision` takes: a precision, or one method of it. */
export type PrecisionChoice = Precision | 'int8-static' | 'int8-dynamic';

/** A scheme that a profile advises; the integer fields are absent for float ones. */
export interface ProfileScheme {
  readonly precision: Precision;
  readonly method: Scheme['method'];
  readonly activations?: Scheme['activations'] | undefined;
  readonly weights?: Scheme['weights'] | undefined;
  readonly perChannel?: boolean | undefined;
  readonly reduceRange?: boolean | undefined;
  /** Only with these runtimes; with every one when absent. */
  readonly runtimes?: readonly RuntimeName[] | undefined;
  readonly why: string;
}

/** The part of a hardware profile that planning reads. */
export interface PlanProfile {
  readonly id: string;
  readonly precisions: readonly Precision[];
  readonly runtimes: readonly RuntimeName[];
  readonly schemes: readonly ProfileScheme[];
  readonly notWorthTrying: readonly {
    readonly precision: string;
    /** Only with these runtimes; with every one when absent. */
    readonly runtimes?: readonly RuntimeName[] | undefined;
    readonly why: string;
  }[];
  /** The most threads worth using; null: every usable core. */
  readonly threads: { readonly max: number | null };
}

export interface PlanRequest {
  readonly precisions?: readonly PrecisionChoice[] | undefined;
  readonly threads?: readonly number[] | undefined;
  readonly runtimes?: readonly RuntimeName[] | undefined;
  /** Calibration samples exist: static quantization needs them. */
  readonly samplesAvailable: boolean;
  /** Measure the file itself only. */
  readonly asIs: boolean;
  /** Runtimes that do not run on this machine, with the reason and the fix. */
  readonly unusable?: ReadonlyMap<RuntimeName, string> | undefined;
}

/** One thing to make and measure. */
export interface Candidate {
  /** `onnxruntime/int8-static/t2`; a second scheme of a method adds its activations: `int8-static-u8`. */
  readonly id: string;
  readonly precision: Precision;
  readonly method: Scheme['method'];
  readonly runtime: RuntimeName;
  readonly threads: number;
  readonly scheme: Scheme;
  /** tensorrt: on this core of the deep learning accelerator, with the GPU for what it cannot run. */
  readonly dla?: number;
  /** TFLite: the library that takes over what it can. */
  readonly delegate?: DelegateOptions | undefined;
  /** A file that came with the package: there is nothing to make. */
  readonly prebuilt?: Prebuilt | undefined;
  readonly why: string;
}

export interface Prebuilt {
  readonly file: ModelFiles & { readonly bytes: number };
  /** What the report says of it. */
  readonly variant: RowVariant;
}

export interface NotTried {
  readonly precision: string;
  readonly why: string;
}

export interface Plan {
  readonly candidates: readonly Candidate[];
  readonly notTried: readonly NotTried[];
}

export type Optimize = BenchReport['objective']['optimize'];

/** What was asked for; null where nothing was said. */
export interface ObjectiveRequest {
  readonly optimize: Optimize;
  /** Points of the task metric: 1 = 0.01. */
  readonly maxAccuracyDrop: number | null;
  readonly minSqnrDb: number | null;
  readonly maxP90Ms: number | null;
  readonly maxRssBytes?: number | null;
  /** Names of the limits that the package set and the command line did not. */
  readonly gates?: string[];
}

/** What the decision enforces; null where a limit does not apply. Same fields, defaults filled in. */
export type Objective = ObjectiveRequest;

/** A measured candidate before the decision; `error` says why it could not be measured. */
export type MeasuredRow = Omit<CandidateRow, 'verdict' | 'reason'> & {
  readonly error?: string | undefined;
};

export interface Verdict {
  readonly id: string;
  readonly verdict: CandidateRow['verdict'];
  readonly reason: string;
}

export interface Decision {
  /** Id of the chosen row; null when none may be chosen. */
  readonly chosen: string | null;
  /** One per row, in the order of the rows. */
  readonly verdicts: readonly Verdict[];
  readonly warnings: readonly string[];
}

/** Where samples come from; null for what the model's manifest says. */
export interface SampleSource {
  readonly path?: string | undefined;
  /** A shell command that writes samples. */
  readonly command?: string | undefined;
  /** A folder of samples that this device has recorded: they calibrate, where there are enough. */
  readonly recorded?: string | undefined;
}

export interface BenchRequest {
  /** A model file or a package manifest. */
  readonly modelPath: string;
  readonly plan: Omit<PlanRequest, 'samplesAvailable' | 'unusable'>;
  readonly samples: SampleSource;
  /** How images become inputs, as far as it was given; overrides the manifest. */
  readonly image: Partial<ImageSpec>;
  /** How sound becomes inputs, where the manifest does not say. */
  readonly audio?: InputFlags['audio'];
  readonly objective: ObjectiveRequest;
  /** undefined: what the scheme prefers. */
  readonly observer?: SchemeObserver | undefined;
  /** TFLite: a library that takes over what it can of each candidate. */
  readonly delegate?: DelegateOptions | undefined;
  /** What this machine is, where that is known already; it is probed otherwise. */
  readonly facts?: Facts | undefined;
  /** Measure every candidate at least this long. */
  readonly minTimeSeconds: number;
  /** A recorded machine to plan for, in place of this one; for tests. */
  readonly machineRoot?: string | undefined;
  /** The longest wait for a throttled machine to cool; null: mark it and go on. */
  readonly coolDownSeconds: number | null;
}

export interface QuantizeRequest {
  readonly modelPath: string;
  /** Or a file that names the scheme and what is different from it. */
  readonly scheme: SchemeName | typeof AUTO | { readonly recipe: string };
  readonly format?: SchemeFormat | undefined;
  /** TFLite: element type of the inputs and outputs of a static version. */
  readonly io?: SchemeInterface | undefined;
  /** TFLite: write the model as C source in place of the file itself. */
  readonly emit?: 'c' | undefined;
  readonly output: string;
  /** Files of ranges to calibrate with, merged; in place of samples. */
  readonly ranges: readonly string[];
  /** Where to keep the ranges that were collected. */
  readonly saveRanges?: string | undefined;
  readonly samples: SampleSource;
  readonly image: Partial<ImageSpec>;
  readonly audio?: InputFlags['audio'];
  readonly observer?: SchemeObserver | undefined;
  /** int8-static: do not give nodes back to float where accuracy collapses. */
  readonly noMixed?: boolean | undefined;
  /** int8-static: SQNR on calibration samples below which nodes are given back; 20. */
  readonly minSqnrDb?: number | undefined;
}

/** What a package is to be made of. */
export interface PackInput {
  readonly modelPath: string;
  readonly samples: SampleSource;
  readonly image: Partial<ImageSpec>;
  readonly audio?: InputFlags['audio'];
  /** Model files that are ready to run. */
  readonly variants: readonly string[];
}

export interface InspectRequest {
  /** A model file or a package manifest; with `quantizedPath` the float model. */
  readonly modelPath: string;
  /** A quantized version of it, to be compared layer by layer. */
  readonly quantizedPath?: string | undefined;
  readonly samples: SampleSource;
  readonly image: Partial<ImageSpec>;
  readonly audio?: InputFlags['audio'];
  /** The most samples to compare on. */
  readonly limit: number;
  /** Where to draw the error of each layer: a .svg or .html file. */
  readonly chart?: string | undefined;
}

/** Work goes on in phases; a phase may count its steps. */
export interface ProgressEvent {
  /** A short phrase: `calibrating`, `measuring onnxruntime/fp32/t1`. */
  readonly phase: string;
  readonly done?: number | undefined;
  readonly total?: number | undefined;
}

export interface Hooks {
  readonly signal: AbortSignal;
  readonly progress: (event: ProgressEvent) => void;
}

/** A model on disk and the files it refers to (external weights), by their names in the model. */
export interface ModelFiles {
  readonly path: string;
  readonly companions: readonly string[];
}

export interface BenchRun {
  readonly report: BenchReport;
  /** Candidate id -> its model, until `cleanup` is called. */
  readonly files: ReadonlyMap<string, ModelFiles>;
  /** What samples for the model must bring; absent where an input takes text. */
  readonly inputs?: readonly ModelInput[];
  readonly cleanup: () => Promise<void>;
}

/** What the command line calls; `fit/run.ts` is the real one. */
export interface FitService {
  readonly benchModel: (request: BenchRequest, hooks: Hooks) => Promise<BenchRun>;
  readonly quantizeModel: (request: QuantizeRequest, hooks: Hooks) => Promise<QuantizeReport>;
  readonly inspectModel: (request: InspectRequest, hooks: Hooks) => Promise<InspectReport>;
}

/** The machine, as far as planning looks at it. */
export type PlanFacts = Pick<Facts, 'cpu'> & Partial<Pick<Facts, 'accelerators'>>;
