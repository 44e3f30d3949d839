import type { LibraryHandle } from 'koffi';
import { type Koffi, type TfliteApi, bindApi } from './api.ts';
import { type Messages, openMessages } from './messages.ts';

/**
 * Native code runs on koffi's stack, 2 MiB by default. Kernels are written for a thread's usual
 * 8 MiB.
 */
const STACK_BYTES = 8 * 1024 * 1024;

let loading: Promise<Koffi> | undefined;

/** koffi itself; native code, so in a child process only. */
export function loadKoffi(): Promise<Koffi> {
  loading ??= import('koffi').then(({ default: koffi }) => {
    // It can be set only once, and koffi is one per process where its callers may be several.
    if (koffi.config().sync_stack_size !== STACK_BYTES) {
      koffi.config({ sync_stack_size: STACK_BYTES });
    }
    return koffi;
  });
  return loading;
}

/** A loaded TFLite. It stays loaded: its delegates may have threads of their own. */
export interface Tflite {
  readonly koffi: Koffi;
  readonly library: LibraryHandle;
  readonly api: TfliteApi;
  readonly messages: Messages;
  readonly version: string;
}

const loaded = new Map<string, Tflite>();

/** Loads a library file. Throws koffi's error when it is none, or lacks a function. */
export async function loadTflite(path: string): Promise<Tflite> {
  const before = loaded.get(path);
  if (before !== undefined) return before;
  const koffi = await loadKoffi();
  const library = koffi.load(path);
  const api = bindApi(koffi, library);
  const tflite = { koffi, library, api, messages: openMessages(koffi), version: api.version() };
  loaded.set(path, tflite);
  return tflite;
}
