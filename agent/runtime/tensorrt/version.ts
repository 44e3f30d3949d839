export interface TensorRtVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** From 10.0 on the number in the banner has two digits for each part: v100300 is 10.3.0. */
const TWO_DIGITS_FROM = 100_000;

/**
 * The version in `[TensorRT v8001]` (8.0.1), `[TensorRT v8412]` (8.4.12), `[TensorRT v101602]`
 * (10.16.2): major * 1000 + minor * 100 + patch, and from 10.0 on major * 10000 + minor * 100 + patch.
 */
export function versionOfBanner(text: string): TensorRtVersion | undefined {
  const digits = /\[TensorRT v(\d{4,7})\]/.exec(text)?.[1];
  return digits === undefined ? undefined : versionOfNumber(Number(digits));
}

function versionOfNumber(value: number): TensorRtVersion {
  const unit = value >= TWO_DIGITS_FROM ? 10_000 : 1000;
  return {
    major: Math.floor(value / unit),
    minor: Math.floor((value % unit) / 100),
    patch: value % 100,
  };
}

export function versionText({ major, minor, patch }: TensorRtVersion): string {
  return `${major}.${minor}.${patch}`;
}
