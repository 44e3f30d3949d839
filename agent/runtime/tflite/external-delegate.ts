import { existsSync } from 'node:fs';
import type { LibraryHandle } from 'koffi';
import { messageOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';
import type { DelegateOptions } from '../types.ts';
import type { Koffi, Pointer } from './api.ts';
import { clean } from './errors.ts';

/*
 * Delegates in libraries of their own, such as libedgetpu for Coral devices. They export two
 * functions (tensorflow/lite/delegates/external/external_delegate.cc), called here directly:
 * TFLite 2.9's C library has no TfLiteExternalDelegateCreate.
 */

const CREATE = 'tflite_plugin_create_delegate';
const DESTROY = 'tflite_plugin_destroy_delegate';

interface Plugin {
  readonly create: (
    keys: readonly string[],
    values: readonly string[],
    count: number,
    report: bigint,
  ) => Pointer | null;
  readonly destroy: (delegate: Pointer) => void;
}

export interface ExternalDelegate {
  readonly pointer: Pointer;
  destroy(): void;
}

/** Loads a delegate's library and makes one. Throws MISSING_FILE, UNSUPPORTED or START_FAILED. */
export function createExternalDelegate(
  koffi: Koffi,
  { path, options }: DelegateOptions,
): ExternalDelegate {
  const plugin = bind(koffi, load(koffi, path), path);
  const said: string[] = [];
  // Registered for as long as the delegate lives: it may keep the address.
  const report = koffi.register(
    (text: string) => {
      said.push(text);
    },
    koffi.pointer(koffi.proto('void', ['str'])),
  );
  const pairs = Object.entries(options);
  const pointer = plugin.create(
    pairs.map(([key]) => key),
    pairs.map(([, value]) => value),
    pairs.length,
    report,
  );
  if (pointer === null) {
    koffi.unregister(report);
    const why = said.length === 0 ? 'it does not say why' : clean(said.join(' '));
    throw new RuntimeFailure(
      'UNSUPPORTED',
      `delegate ${path} cannot be used: ${why}; is its device connected, and are the options right?`,
    );
  }
  return {
    pointer,
    destroy() {
      plugin.destroy(pointer);
      koffi.unregister(report);
    },
  };
}

function load(koffi: Koffi, path: string): LibraryHandle {
  // A bare name, such as libedgetpu.so.1, is searched by the system's linker.
  if (path.includes('/') && !existsSync(path)) {
    throw new RuntimeFailure('MISSING_FILE', `cannot load delegate ${path}: no such file`);
  }
  try {
    return koffi.load(path);
  } catch (error) {
    const message = `cannot load delegate ${path}: ${clean(messageOf(error))}`;
    throw new RuntimeFailure('UNSUPPORTED', message, { cause: error });
  }
}

function bind(koffi: Koffi, library: LibraryHandle, path: string): Plugin {
  try {
    const texts = koffi.pointer('str');
    return {
      create: library.func(CREATE, 'void *', [texts, texts, 'size_t', 'void *']),
      destroy: library.func(DESTROY, 'void', ['void *']),
    };
  } catch (error) {
    const message = `${path} is no TFLite delegate: it lacks ${CREATE} or ${DESTROY}`;
    throw new RuntimeFailure('UNSUPPORTED', message, { cause: error });
  }
}
