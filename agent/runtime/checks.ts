import type { Check, Finding } from '../util/check.ts';
import { messageOf } from '../util/errors.ts';
import type { handlers } from './check-worker.ts';
import { startWorker } from './worker.ts';

type Handlers = typeof handlers;

const WITHOUT_XNNPACK = ' without XNNPACK (models are many times slower than they could be)';

/** Loading a library from a slow card takes seconds, not minutes. */
const TIMEOUT_MS = 60_000;
const REINSTALL = 'install edgefit again (npm ci in a checkout), without --omit=optional';
const FETCH =
  'npm run fetch-tflite in a checkout, or install a libtensorflow-lite with the C API and XNNPACK, or name one in EDGEFIT_TFLITE_LIBRARY';

/** Whether the native libraries load here, and which ones they are. */
export const runtimeChecks: readonly Check[] = [
  {
    id: 'onnxruntime',
    title: 'onnxruntime, for ONNX models',
    severity: 'essential',
    run: (signal) => versionOf('onnxruntime', signal),
  },
  {
    id: 'koffi',
    title: 'koffi, which calls C libraries',
    severity: 'essential',
    run: (signal) => versionOf('koffi', signal),
  },
  {
    id: 'tflite',
    title: 'TensorFlow Lite, for TFLite models',
    severity: 'essential',
    dependsOn: 'koffi',
    run: tfliteLibrary,
  },
];

async function versionOf(method: 'onnxruntime' | 'koffi', signal: AbortSignal): Promise<Finding> {
  try {
    const version = await inChild(method, signal);
    return { ok: true, found: `version ${version}`, facts: { version } };
  } catch (error) {
    return { ok: false, found: messageOf(error), mend: REINSTALL };
  }
}

async function tfliteLibrary(signal: AbortSignal): Promise<Finding> {
  try {
    const { library, skipped } = await inChild('tflite', signal);
    const others = skipped.map(({ path, why }) => `${path}: ${why}`).join('; ');
    if (library === null) return { ok: false, found: `no library: ${others}`, mend: FETCH };
    const { origin, path, version, xnnpack } = library;
    const passed = others === '' ? '' : `; passed over ${others}`;
    return {
      ok: true,
      found: `version ${version}${xnnpack ? '' : WITHOUT_XNNPACK}, ${origin}: ${path}${passed}`,
      facts: { version, origin, path },
    };
  } catch (error) {
    return { ok: false, found: messageOf(error), mend: FETCH };
  }
}

/** A library that crashes when it is loaded must not take the agent along. */
async function inChild<M extends keyof Handlers>(
  method: M,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<Handlers[M]>>> {
  const worker = await startWorker<Handlers>('runtime/check-worker', {
    name: `check of ${method}`,
    signal,
  });
  try {
    return await worker.call(method, undefined, { timeoutMs: TIMEOUT_MS });
  } finally {
    await worker.close();
  }
}
