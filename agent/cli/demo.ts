import type { DemoModels } from './context.ts';
import type { MeasureOptions } from './options.ts';

/**
 * The manifest of the built-in demo model in the format for the runtimes asked for, else for those
 * that this machine has: ONNX wherever something takes it.
 */
export async function demoFor(
  { runtime, delegate }: Pick<MeasureOptions, 'runtime' | 'delegate'>,
  demo: DemoModels,
): Promise<string> {
  // A delegate is TFLite's.
  const asked = runtime ?? (delegate === undefined ? undefined : ['tflite' as const]);
  const wanted = asked ?? (await demo.runtimesHere());
  const onlyTflite = wanted.length > 0 && wanted.every((name) => name === 'tflite');
  return onlyTflite ? demo.tflite : demo.onnx;
}
