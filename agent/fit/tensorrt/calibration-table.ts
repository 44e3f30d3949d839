import type { Statistics } from '../../model/statistics.ts';
import type { TensorRtVersion } from '../../runtime/tensorrt/version.ts';

/**
 * Calibrated ranges as a calibration table of TensorRT: implicit quantization, the only one that the
 * deep learning accelerator knows (it refuses QuantizeLinear). A header with the version, then per
 * tensor its name and the scale, largest / 127, as the bits of a float32 in hexadecimal.
 * (NVIDIA/TensorRT, samples/sampleINT8: format of a calibration cache.)
 */
export function calibrationTable(
  { tensors }: Pick<Statistics, 'tensors'>,
  version: TensorRtVersion | null,
): string {
  const lines = [`TRT-${version === null ? '' : headerNumber(version)}-EntropyCalibration2`];
  for (const [name, { dtype, min, max }] of tensors) {
    const largest = Math.max(Math.abs(min), Math.abs(max));
    if (dtype !== 'float32' || !Number.isFinite(largest) || largest === 0) continue;
    lines.push(`${name}: ${floatBits(largest / 127)}`);
  }
  return `${lines.join('\n')}\n`;
}

function floatBits(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return bytes.toString('hex');
}

/** As in the banner: 8502, 100300. */
function headerNumber({ major, minor, patch }: TensorRtVersion): number {
  return major * (major >= 10 ? 10_000 : 1000) + minor * 100 + patch;
}
