import type koffiModule from 'koffi';
import type { LibraryHandle } from 'koffi';

/*
 * TFLite's C API (tensorflow/lite/c/c_api.h of 2.9, delegates/xnnpack/xnnpack_delegate.h), as far as
 * it is used. Only child processes load this: native code may crash.
 */

/** An address; koffi gives null for a null pointer. */
export type Pointer = bigint;

/**
 * TfLiteStatus; other values are failures too. Applying a delegate that needs fixed shapes to a graph
 * that computes some gives 3, "application error".
 */
export const STATUS = { ok: 0, delegateRefused: 2, dynamicShapes: 3, unresolvedOps: 7 } as const;

export interface TfliteApi {
  readonly version: () => string;
  readonly modelCreateFromFile: (path: string) => Pointer | null;
  /** The bytes must stay where they are, and alive, until the model is deleted. */
  readonly modelCreate: (bytes: Uint8Array, size: number) => Pointer | null;
  readonly modelDelete: (model: Pointer) => void;
  readonly optionsCreate: () => Pointer;
  readonly optionsDelete: (options: Pointer) => void;
  readonly optionsSetNumThreads: (options: Pointer, threads: number) => void;
  readonly optionsSetErrorReporter: (options: Pointer, report: Pointer, user: Pointer) => void;
  readonly interpreterCreate: (model: Pointer, options: Pointer) => Pointer | null;
  readonly interpreterDelete: (interpreter: Pointer) => void;
  readonly modifyGraphWithDelegate: (interpreter: Pointer, delegate: Pointer) => number;
  readonly allocateTensors: (interpreter: Pointer) => number;
  readonly invoke: (interpreter: Pointer) => number;
  readonly resetVariableTensors: (interpreter: Pointer) => number;
  readonly inputCount: (interpreter: Pointer) => number;
  readonly outputCount: (interpreter: Pointer) => number;
  readonly inputTensor: (interpreter: Pointer, index: number) => Pointer;
  readonly outputTensor: (interpreter: Pointer, index: number) => Pointer;
  readonly resizeInput: (
    interpreter: Pointer,
    index: number,
    sizes: Int32Array,
    rank: number,
  ) => number;
  readonly tensorType: (tensor: Pointer) => number;
  readonly tensorRank: (tensor: Pointer) => number;
  readonly tensorSize: (tensor: Pointer, axis: number) => number;
  readonly tensorByteSize: (tensor: Pointer) => number;
  /** Null while the tensor has no memory: its shape is known only after a run. */
  readonly tensorData: (tensor: Pointer) => Pointer | null;
  readonly tensorQuantization: (tensor: Pointer) => {
    readonly scale: number;
    readonly zeroPoint: number;
  };
  readonly copyIn: (tensor: Pointer, from: NodeJS.TypedArray, bytes: number) => number;
  readonly copyOut: (tensor: Pointer, to: NodeJS.TypedArray, bytes: number) => number;
  /** Null in a library that was built without it, as Debian's is. */
  readonly xnnpack: XnnpackApi | null;
}

/** XNNPACK's functions in a library that has it. */
export interface XnnpackApi {
  /** Takes the address of a TfLiteXNNPackDelegateOptions. */
  readonly create: (options: NodeJS.TypedArray) => Pointer | null;
  readonly delete: (delegate: Pointer) => void;
  /** Newer libraries only; see xnnpack.ts. */
  readonly flags: ((delegate: Pointer) => number) | null;
}

const POINTER = 'void *';

export type Koffi = typeof koffiModule;

/** The functions of a loaded library. Throws koffi's error, which names it, when one is missing. */
export function bindApi(koffi: Koffi, library: LibraryHandle): TfliteApi {
  // Without a name: named types are global to the process, and a second library may follow.
  const quantization = koffi.struct({ scale: 'float', zeroPoint: 'int32_t' });
  const on = (name: string, ...rest: readonly string[]) =>
    library.func(`TfLite${name}`, 'int', [POINTER, ...rest]);
  const end = (name: string, ...rest: readonly string[]) =>
    library.func(`TfLite${name}`, 'void', [POINTER, ...rest]);
  const make = (name: string, ...parameters: readonly string[]) =>
    library.func(`TfLite${name}`, POINTER, [...parameters]);
  return {
    version: library.func('TfLiteVersion', 'str', []),
    modelCreateFromFile: make('ModelCreateFromFile', 'str'),
    modelCreate: make('ModelCreate', 'const void *', 'size_t'),
    modelDelete: end('ModelDelete'),
    optionsCreate: make('InterpreterOptionsCreate'),
    optionsDelete: end('InterpreterOptionsDelete'),
    optionsSetNumThreads: end('InterpreterOptionsSetNumThreads', 'int32_t'),
    optionsSetErrorReporter: end('InterpreterOptionsSetErrorReporter', POINTER, POINTER),
    interpreterCreate: make('InterpreterCreate', POINTER, POINTER),
    interpreterDelete: end('InterpreterDelete'),
    modifyGraphWithDelegate: on('InterpreterModifyGraphWithDelegate', POINTER),
    allocateTensors: on('InterpreterAllocateTensors'),
    invoke: on('InterpreterInvoke'),
    resetVariableTensors: on('InterpreterResetVariableTensors'),
    inputCount: on('InterpreterGetInputTensorCount'),
    outputCount: on('InterpreterGetOutputTensorCount'),
    inputTensor: make('InterpreterGetInputTensor', POINTER, 'int32_t'),
    outputTensor: make('InterpreterGetOutputTensor', POINTER, 'int32_t'),
    resizeInput: on('InterpreterResizeInputTensor', 'int32_t', 'const int *', 'int32_t'),
    tensorType: on('TensorType'),
    tensorRank: on('TensorNumDims'),
    tensorSize: on('TensorDim', 'int32_t'),
    tensorByteSize: library.func('TfLiteTensorByteSize', 'size_t', [POINTER]),
    tensorData: make('TensorData', POINTER),
    tensorQuantization: library.func('TfLiteTensorQuantizationParams', quantization, [POINTER]),
    copyIn: on('TensorCopyFromBuffer', POINTER, 'size_t'),
    copyOut: on('TensorCopyToBuffer', POINTER, 'size_t'),
    xnnpack: optional(() => ({
      create: make('XNNPackDelegateCreate', POINTER),
      delete: end('XNNPackDelegateDelete'),
      flags: optional(() => on('XNNPackDelegateGetFlags')),
    })),
  };
}

function optional<T>(bind: () => T): T | null {
  try {
    return bind();
  } catch {
    return null; // This library does not export it.
  }
}
