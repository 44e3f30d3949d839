export const SIZE: number;
export const CLASSES: number;
export function drawSample(
  seed: number,
  index: number,
  ease?: number,
): { label: number; pixels: Uint8Array };
