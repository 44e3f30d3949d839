import type {
  Gates,
  InputSpec,
  SampleSetSpec,
  TaskSpec,
  VariantSpec,
} from '../../contracts/manifest.ts';

/** A model that was opened and checked, and all that a package can be made of. Paths are absolute. */
export interface PackContents {
  readonly name: string;
  readonly version: string | null;
  readonly model: PackModelFile;
  readonly inputs: Readonly<Record<string, InputSpec>>;
  readonly task: TaskSpec | null;
  readonly labels: string | null;
  readonly calibration: CountedSet | null;
  readonly evaluation: CountedSet | null;
  readonly variants: readonly PackVariantFile[];
  readonly gates: Gates;
  /** Fields of the manifest that this program does not know. */
  readonly extra: Readonly<Record<string, unknown>>;
  /** It is an integer-only .tflite already. */
  readonly integerOnly: boolean;
  readonly warnings: readonly string[];
}

export interface CountedSet extends SampleSetSpec {
  readonly count: number;
}

export interface PackModelFile {
  readonly path: string;
  /** Files beside it that hold its weights, relative to it. */
  readonly companions: readonly string[];
  readonly format: 'onnx' | 'tflite';
}

export interface PackVariantFile extends PackModelFile {
  readonly spec: Pick<VariantSpec, 'precision' | 'runtime' | 'accelerators' | 'ops'>;
}
