/**
 * How a model is made smaller, as a value. No zod here: the command line reads these names at every
 * start.
 */

export const observerNames = ['min-max', 'moving-average', 'percentile', 'entropy', 'mse'] as const;
export type SchemeObserver = (typeof observerNames)[number];

/**
 * How static INT8 is written: around float ops, as integer operators, or around float ops by the rules
 * of TensorRT.
 */
export const formatNames = ['qdq', 'qoperator', 'tensorrt'] as const;
export type SchemeFormat = (typeof formatNames)[number];

/** Element type of a model's own inputs and outputs. */
export const interfaceNames = ['float32', 'int8', 'uint8', 'int16'] as const;
export type SchemeInterface = (typeof interfaceNames)[number];

export const roundingNames = ['nearest', 'adaptive'] as const;
export const biasNames = ['derived', 'measured'] as const;
export const rowScaleNames = ['few', 'all'] as const;

/** A deviation for the nodes of one operator, or of one name; `*` stands for any characters. */
export interface SchemeRule {
  readonly op?: string | undefined;
  readonly name?: string | undefined;
  readonly precision?: 'integer' | 'float' | undefined;
  readonly observer?: SchemeObserver | undefined;
  readonly perChannel?: boolean | undefined;
  /** [min, max] of the outputs. */
  readonly range?: readonly [number, number] | undefined;
}

export interface Scheme {
  readonly method: 'none' | 'fp16' | 'dynamic' | 'static' | 'weight-only' | 'qat';
  /** Element type of activations; null where they stay as they are. */
  readonly activations: 'u8' | 's8' | 's16' | null;
  readonly weights: 's8' | 'u8' | 's4' | null;
  readonly perChannel: boolean;
  /** 7-bit weights: x86 without VNNI adds products in 16 bits, which saturate with 8. */
  readonly reduceRange: boolean;
  readonly observer: SchemeObserver;
  /** How weights become integers: each to the nearest, or so that the layer's output stays close. */
  readonly rounding?: (typeof roundingNames)[number];
  /** What rounding adds to a layer on average: derived from means, or measured and taken back, too. */
  readonly biases?: (typeof biasNames)[number];
  /**
   * TFLite: which matrix products get a weight scale per output, those that gain most or all. Unless
   * told: all with adaptive rounding and with 16-bit activations, else few, for the file's size.
   */
  readonly rowScales?: (typeof rowScaleNames)[number];
  /** Names of nodes to leave in float. */
  readonly excluded: readonly string[];
  /** What single nodes have that the others don't; the last rule that sets a field wins. */
  readonly rules?: readonly SchemeRule[];
  /** QDQ unless told. */
  readonly format?: SchemeFormat;
  /** Refuse rather than leave an op in float: for devices that have integer arithmetic only. */
  readonly integerOnly?: boolean;
  /** TFLite: float32 unless told; where all is in integers, the type of the activations. */
  readonly io?: SchemeInterface;
  /**
   * Scale channels against the weights around them first, where that promises less noise; only where
   * that costs little time unless told.
   */
  readonly equalize?: boolean;
  /** How far ranges move from activations into weights (alpha of SmoothQuant), in place of the best. */
  readonly smooth?: number;
}

const untouched = {
  activations: null,
  weights: null,
  perChannel: false,
  reduceRange: false,
  observer: 'min-max',
  excluded: [],
} as const;

const eightBit = { ...untouched, activations: 'u8', weights: 's8', perChannel: true } as const;

/** The schemes that `--to` accepts today. */
export const schemePresets = {
  'int8-static': { ...eightBit, method: 'static' },
  'int8-dynamic': { ...eightBit, method: 'dynamic' },
  'int8-only': { ...eightBit, method: 'static', integerOnly: true },
  /** For runtimes with 16-bit activations; onnxruntime computes it in float. */
  int16x8: { ...eightBit, method: 'static', activations: 's16' },
  'weight-int8': { ...untouched, method: 'weight-only', weights: 's8', perChannel: true },
  'weight-int4': { ...untouched, method: 'weight-only', weights: 's4', perChannel: true },
  fp16: { ...untouched, method: 'fp16' },
} as const satisfies Record<string, Scheme>;

export type SchemeName = keyof typeof schemePresets;
export const schemeNames: readonly SchemeName[] = Object.keys(schemePresets).filter(isSchemeName);

/** The scheme as TensorRT takes it: signed and symmetric, all 8 bits. 16 bits stay, to be refused. */
export function forTensorRt(scheme: Scheme): Scheme {
  const activations = scheme.activations === 's16' ? 's16' : 's8';
  return { ...scheme, activations, reduceRange: false, format: 'tensorrt' };
}

/** The preset that a scheme is a form of; none for a model that is left as it is. */
export function presetOf(scheme: Scheme): SchemeName | undefined {
  return schemeNames.find((name) => {
    const preset: Scheme = schemePresets[name];
    return (
      preset.method === scheme.method &&
      preset.weights === scheme.weights &&
      (preset.activations === 's16') === (scheme.activations === 's16') &&
      preset.integerOnly === scheme.integerOnly
    );
  });
}

/** Measures what is worth trying and takes the best. */
export const AUTO = 'auto';

/** The model as it is. */
export const noScheme: Scheme = { ...untouched, method: 'none' };

export function isSchemeName(name: string): name is SchemeName {
  return Object.hasOwn(schemePresets, name);
}

/** A short name for people: `int8-static u8/s8 per channel, 7-bit weights`. */
export function schemeLabel(scheme: Scheme): string {
  if (scheme.method === 'none') return 'as it is';
  if (scheme.method === 'fp16') return 'fp16';
  const bits = scheme.activations === 's16' ? 'int16' : scheme.weights === 's4' ? 'int4' : 'int8';
  const types = `${scheme.activations ?? 'float'}/${scheme.weights ?? 'float'}`;
  const grain = scheme.perChannel ? 'per channel' : 'per tensor';
  const tuned = scheme.rounding === 'adaptive' ? ', adaptive rounding' : '';
  const measured = scheme.biases === 'measured' ? ', measured biases' : '';
  const range = scheme.reduceRange ? ', 7-bit weights' : '';
  const form = scheme.format === 'tensorrt' ? ', for TensorRT' : '';
  return `${bits}-${scheme.method} ${types} ${grain}${range}${tuned}${measured}${form}`;
}
