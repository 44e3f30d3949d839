import { onnxRuntime } from './onnxruntime.ts';
import { findTfliteLibrary } from './tflite/library.ts';
import { loadKoffi } from './tflite/native.ts';

/** What `agent doctor` asks of the native libraries, each in a child process of its own. */
export const handlers = {
  koffi: async () => (await loadKoffi()).version,
  onnxruntime: () => onnxRuntime.version(),
  tflite: () => findTfliteLibrary(),
};
