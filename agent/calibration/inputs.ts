import { imageInputSchema, audioInputSchema, type InputSpec } from '../contracts/manifest.ts';
import type { SessionDescription, TensorDescription } from '../runtime/types.ts';
import { SampleError, shapeText } from './samples/error.ts';

/** How to make input values for a model that has no manifest, from the command line. */
export interface InputFlags {
  readonly imageSize?: { readonly width: number; readonly height: number };
  readonly color?: 'rgb' | 'bgr' | 'gray';
  readonly layout?: 'nchw' | 'nhwc';
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly resize?: 'stretch' | 'crop';
  readonly audio?: {
    readonly rateHz: number;
    readonly windowSamples?: number;
    readonly hopSamples?: number;
  };
}

export interface InputSpecs {
  readonly inputs: Readonly<Record<string, InputSpec>>;
  /** What was guessed, one sentence per input, to be told to the user. */
  readonly assumed: readonly string[];
}

/** Element types that pictures and sound are fed as. */
const NUMERIC = new Set(['float32', 'float16', 'float64', 'uint8', 'int8']);

/**
 * A spec for every input of the model. `given` (from a manifest) comes first; what it leaves out is
 * guessed from the input's shape: [1,3,H,W] and [1,1,H,W] are pictures in NCHW, [1,H,W,3] and
 * [1,H,W,1] in NHWC, with mean 0 and std 1 unless flags say otherwise; everything else takes ready
 * arrays. Ready float arrays can be fed to picture inputs, too. Throws SampleError for flags that
 * fit no input.
 */
export function inputSpecsFromModel(
  description: SessionDescription,
  flags: InputFlags = {},
  given: Readonly<Record<string, InputSpec>> = {},
): InputSpecs {
  const assumed: string[] = [];
  const inputs: Record<string, InputSpec> = { ...given };
  for (const input of description.inputs) {
    if (Object.hasOwn(given, input.name)) continue;
    const { spec, note } = guess(input, flags);
    Object.defineProperty(inputs, input.name, { value: spec, enumerable: true });
    assumed.push(`input ${input.name} ${shapeText(input.shape)}: ${note}`);
  }
  checkFlagsUsed(flags, Object.values(inputs), description);
  return { inputs, assumed };
}

interface Guess {
  readonly spec: InputSpec;
  readonly note: string;
}

function guess(input: TensorDescription, flags: InputFlags): Guess {
  return (
    (flags.audio && guessAudio(input, flags.audio)) ??
    guessImage(input, flags) ?? { spec: { array: {} }, note: 'takes ready arrays' }
  );
}

function guessImage(input: TensorDescription, flags: InputFlags): Guess | null {
  if (input.shape.length !== 4 || !NUMERIC.has(input.dtype)) return null;
  const [, second, third, fourth] = input.shape;
  const planes = isChannels(second) || !isChannels(fourth);
  const layout = flags.layout ?? (planes ? 'nchw' : 'nhwc');
  const [channels, height, width] =
    layout === 'nchw' ? [second, third, fourth] : [fourth, second, third];
  if (!isChannels(channels) && typeof channels === 'number') return null;
  const w = flags.imageSize?.width ?? width;
  const h = flags.imageSize?.height ?? height;
  if (typeof w !== 'number' || typeof h !== 'number' || w < 1 || h < 1) return null;
  const color = flags.color ?? (channels === 1 ? 'gray' : 'rgb');
  const mean = flags.mean ?? [0];
  const std = flags.std ?? [1];
  const resize = flags.resize ?? 'stretch';
  const image = { width: w, height: h, color, layout, mean: [...mean], std: [...std], resize };
  const asTheyAre = flags.mean === undefined && flags.std === undefined;
  const hint = asTheyAre ? ': values 0 to 255, unless --mean and --std say otherwise' : '';
  const scale = `mean ${mean.join(',')} std ${std.join(',')}${hint}`;
  const note = `pictures of ${w}x${h}, ${color}, ${layout.toUpperCase()}, ${scale}`;
  return { spec: { image: checked(imageInputSchema, image, input.name) }, note };
}

function isChannels(dim: number | string | null | undefined): boolean {
  return dim === 1 || dim === 3;
}

function guessAudio(
  input: TensorDescription,
  audio: NonNullable<InputFlags['audio']>,
): Guess | null {
  if (!input.dtype.startsWith('float')) return null;
  const known = input.shape.filter((dim) => typeof dim === 'number' && dim > 0).map(Number);
  const length = known.reduce((product, dim) => product * dim, 1);
  const windowSamples = audio.windowSamples ?? length;
  // Without a window every long enough vector is one; a state of a few numbers is not sound.
  if (windowSamples < 2) return null;
  const hop = audio.hopSamples === undefined ? {} : { hopSamples: audio.hopSamples };
  const spec = { rateHz: audio.rateHz, windowSamples, ...hop };
  const note = `mono sound at ${audio.rateHz} Hz in windows of ${windowSamples} samples`;
  return { spec: { audio: checked(audioInputSchema, spec, input.name) }, note };
}

interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } };
}

function checked<T>(schema: Schema<T>, value: unknown, name: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.map(String).join('.') ?? '';
  throw new SampleError('flags', `input ${name}: ${field}: ${issue?.message ?? 'not valid'}`);
}

/** A flag that changes nothing is a misunderstanding, and the results would be wrong in silence. */
function checkFlagsUsed(
  flags: InputFlags,
  specs: readonly InputSpec[],
  description: SessionDescription,
): void {
  const { audio, ...image } = flags;
  const shapes = description.inputs.map((input) => `${input.name} ${shapeText(input.shape)}`);
  if (Object.keys(image).length > 0 && !specs.some((spec) => 'image' in spec)) {
    const flag = `image flags (${Object.keys(image).join(', ')})`;
    throw new SampleError('flags', `${flag} fit no input of the model: ${shapes.join('; ')}`);
  }
  if (audio !== undefined && !specs.some((spec) => 'audio' in spec)) {
    throw new SampleError('flags', `audio flags fit no input of the model: ${shapes.join('; ')}`);
  }
}
