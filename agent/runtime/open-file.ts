import { open } from 'node:fs/promises';
import { FORMAT_BYTES, formatOf } from '../model/format.ts';
import { floatSession } from './float-session.ts';
import { missingFile } from './missing-file.ts';
import { onnxRuntime } from './onnxruntime.ts';
import type { OpenOptions, Runtime, Session } from './types.ts';

/** The runtime for a model file, by what is in it. Loads no library before it is used. */
export async function runtimeOf(modelPath: string): Promise<Runtime> {
  if (formatOf(await firstBytes(modelPath)) === 'onnx') return onnxRuntime;
  const { tfliteRuntime } = await import('./tflite/tflite.ts');
  return tfliteRuntime;
}

/**
 * Opens a model file with its runtime; in a child process only. TFLite runs with XNNPACK whatever is
 * asked for: what is to be seen of a model is an output of its file, and its own kernels take ten times
 * as long. Integers that stand for real numbers
 * go in and out as float32, so that every version of a model is fed and compared alike.
 */
export async function openFile(modelPath: string, options: OpenOptions): Promise<Session> {
  const runtime = await runtimeOf(modelPath);
  if (runtime.name !== 'tflite') return runtime.open(modelPath, options);
  return floatSession(await runtime.open(modelPath, { ...options, optimization: 'all' }));
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const file = await open(path).catch((error: unknown) => {
    throw missingFile(path, error);
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(FORMAT_BYTES), 0, FORMAT_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
