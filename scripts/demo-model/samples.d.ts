export const STREAMS: Readonly<Record<'training' | 'calibration' | 'evaluation', number>>;
export const ROWS: Readonly<Record<'calibration' | 'evaluation', number>>;
export function drawRows(
  range: 'calibration' | 'evaluation',
  count?: number,
): { label: number; pixels: Uint8Array }[];
export function manifest(format?: 'onnx' | 'tflite'): unknown;
export function encodeManifest(format?: 'onnx' | 'tflite'): string;
