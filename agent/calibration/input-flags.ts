import type { InputFlags } from './inputs.ts';
import { SampleError } from './samples/error.ts';

/** The options of a command as text, named as commander names them. */
export interface InputOptions {
  readonly imageSize?: string | undefined;
  readonly color?: string | undefined;
  readonly layout?: string | undefined;
  readonly mean?: string | undefined;
  readonly std?: string | undefined;
  readonly resize?: string | undefined;
  readonly audioRate?: string | undefined;
  readonly audioWindow?: string | undefined;
  readonly audioHop?: string | undefined;
}

/**
 * Reads `--image-size 320x240 --mean 127,127,127 --std 128 --color bgr --layout nhwc --resize crop
 * --audio-rate 16000 --audio-window 512 --audio-hop 256`. Throws SampleError naming the flag.
 */
export function parseInputFlags(options: InputOptions): InputFlags {
  const { imageSize, color, layout, mean, std, resize } = options;
  return {
    ...(imageSize !== undefined && { imageSize: parseSize(imageSize) }),
    ...(color !== undefined && { color: oneOf('--color', color, ['rgb', 'bgr', 'gray'] as const) }),
    ...(layout !== undefined && { layout: oneOf('--layout', layout, ['nchw', 'nhwc'] as const) }),
    ...(mean !== undefined && { mean: parseNumbers('--mean', mean) }),
    ...(std !== undefined && { std: parseNumbers('--std', std) }),
    ...(resize !== undefined && {
      resize: oneOf('--resize', resize, ['stretch', 'crop'] as const),
    }),
    ...parseAudio(options),
  };
}

function parseAudio({ audioRate, audioWindow, audioHop }: InputOptions): Pick<InputFlags, 'audio'> {
  if (audioRate === undefined) {
    if (audioWindow === undefined && audioHop === undefined) return {};
    throw new SampleError('flags', '--audio-window and --audio-hop need --audio-rate');
  }
  return {
    audio: {
      rateHz: positive('--audio-rate', audioRate),
      ...(audioWindow !== undefined && { windowSamples: positive('--audio-window', audioWindow) }),
      ...(audioHop !== undefined && { hopSamples: positive('--audio-hop', audioHop) }),
    },
  };
}

function parseSize(text: string): { width: number; height: number } {
  const [, width, height] = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(text) ?? [];
  if (width !== undefined && height !== undefined) {
    return { width: Number(width), height: Number(height) };
  }
  throw new SampleError(
    'flags',
    `--image-size: expected WIDTHxHEIGHT such as 320x240, got ${text}`,
  );
}

function parseNumbers(flag: string, text: string): number[] {
  const numbers = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (numbers.every(Number.isFinite)) return numbers;
  throw new SampleError(
    'flags',
    `${flag}: expected numbers such as 127.5 or 123,117,104, got ${text}`,
  );
}

function positive(flag: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new SampleError('flags', `${flag}: expected a positive whole number, got ${text}`);
}

function oneOf<T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new SampleError('flags', `${flag}: expected ${choices.join(', ')}, got ${text}`);
}
