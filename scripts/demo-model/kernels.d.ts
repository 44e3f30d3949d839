export interface Engine {
  floats(length: number): Float32Array;
  integers(length: number): Int32Array;
  forward(...addresses: readonly number[]): void;
  weightGradient(...addresses: readonly number[]): void;
}

export function createEngine(megabytes: number): Engine;
