import { access } from 'node:fs/promises';
import { missingFile } from '../missing-file.ts';
import type { Runtime } from '../types.ts';
import { openTflite } from './library.ts';
import { openSession } from './session.ts';

/** TFLite models on the CPU, with XNNPACK or an external delegate; in a child process only. */
export const tfliteRuntime: Runtime = {
  name: 'tflite',

  async version() {
    return (await openTflite()).version;
  },

  async open(modelPath, options) {
    await access(modelPath).catch((error: unknown) => {
      throw missingFile(modelPath, error);
    });
    return openSession(await openTflite(), modelPath, options);
  },
};
