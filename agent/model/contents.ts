import { contentsOf as onnxContents } from './onnx/contents.ts';
import type { ModelContents } from './onnx/contents.ts';
import type { Model } from './open.ts';
import { contentsOf as tfliteContents } from './tflite/contents.ts';

/** What is in a model file, without running it. */
export function contentsOf(model: Model): ModelContents {
  return model.format === 'tflite' ? tfliteContents(model) : onnxContents(model);
}
