import { RuntimeFailure } from '../errors.ts';
import type { DelegateOptions } from '../types.ts';
import { STATUS, type Pointer, type XnnpackApi } from './api.ts';
import { clean, loadFailure } from './errors.ts';
import { createExternalDelegate } from './external-delegate.ts';
import type { Tflite } from './native.ts';
import { XNNPACK_FLAGS, createXnnpack, mayTryFewerFlags } from './xnnpack.ts';

export interface InterpreterSettings {
  readonly modelPath: string;
  readonly model: Pointer;
  readonly threads: number;
  /** Null where this model is not to be given to it. */
  readonly xnnpack: XnnpackApi | null;
  /** Why it runs without XNNPACK from the start, or null. */
  readonly note: string | null;
  readonly delegate: DelegateOptions | undefined;
  /** One per input; null for those that the file declares. */
  readonly shapes: readonly (readonly number[])[] | null;
}

/** A model that is ready to run for one set of input shapes. */
export interface Interpreter {
  readonly pointer: Pointer;
  readonly inputs: readonly Pointer[];
  readonly outputs: readonly Pointer[];
  /** What keeps it from running as fast as it could, or null. */
  readonly note: string | null;
  close(): void;
}

/** A delegate, and what to do with it after the interpreter is gone. */
interface Delegate {
  readonly pointer: Pointer;
  readonly destroy: () => void;
}

/** Either the interpreter or the reason why a delegate did not take the model. */
type Attempt = Interpreter | { readonly status: number; readonly said: string };

/**
 * Makes an interpreter and applies the delegate: the one asked for, or XNNPACK with as many of its
 * flags as it accepts, or none. A delegate's graph cannot change its shapes any more (it is
 * immutable then), so other input shapes need another interpreter. Throws RuntimeFailure.
 */
export function makeInterpreter(tflite: Tflite, settings: InterpreterSettings): Interpreter {
  if (settings.delegate !== undefined) return withExternal(tflite, settings, settings.delegate);
  const { xnnpack } = settings;
  const refusal = xnnpack === null ? null : withXnnpack(tflite, xnnpack, settings);
  if (refusal !== null && 'pointer' in refusal) return refusal;
  const plain = attempt(tflite, settings, null, refusal === null ? settings.note : noteOf(refusal));
  // Without a delegate nothing can be refused: attempt has thrown, or made it.
  if ('pointer' in plain) return plain;
  throw loadFailure(settings.modelPath, plain.said, tflite, 'UNSUPPORTED');
}

function withExternal(
  tflite: Tflite,
  settings: InterpreterSettings,
  options: DelegateOptions,
): Interpreter {
  const made = attempt(tflite, settings, createExternalDelegate(tflite.koffi, options), null);
  if ('pointer' in made) return made;
  throw new RuntimeFailure(
    'UNSUPPORTED',
    `cannot load ${settings.modelPath}: delegate ${options.path} refused the model: ${clean(made.said)}`,
  );
}

function withXnnpack(tflite: Tflite, xnnpack: XnnpackApi, settings: InterpreterSettings): Attempt {
  let first: Attempt | undefined;
  for (const flags of XNNPACK_FLAGS) {
    const pointer = createXnnpack(xnnpack, settings.threads, flags);
    if (pointer === null) return { status: STATUS.delegateRefused, said: 'it does not start here' };
    const delegate = { pointer, destroy: () => xnnpack.delete(pointer) };
    const note = first === undefined ? null : noteOf(first);
    const made = attempt(tflite, settings, delegate, note);
    if ('pointer' in made || !mayTryFewerFlags(made.status)) return made;
    first ??= made;
  }
  return first ?? { status: STATUS.delegateRefused, said: '' };
}

function noteOf(refused: Attempt): string | null {
  if ('pointer' in refused) return null;
  const slow = "it runs on TFLite's own kernels, which are slower";
  // Then the model does not load at all, and that is told instead.
  if (refused.status === STATUS.unresolvedOps) return null;
  return refused.status === STATUS.dynamicShapes
    ? `XNNPACK needs shapes that are known before the run, and this model computes some: ${slow}`
    : `XNNPACK cannot run this model as it is (${refusedNodes(refused.said)}): some or all of ${slow}`;
}

/** `CONV_2D node 0, CONV_2D node 28`, from what XNNPACK says of them. */
function refusedNodes(said: string): string {
  const nodes = [...said.matchAll(/failed to delegate (\w+) node #(\d+)/g)];
  if (nodes.length === 0) return clean(said);
  return nodes.map(([, op, node]) => `it refuses ${op} node ${node}`).join(', ');
}

/** One interpreter with one delegate or none. Frees everything unless it succeeds. */
function attempt(
  tflite: Tflite,
  settings: InterpreterSettings,
  delegate: Delegate | null,
  note: string | null,
): Attempt {
  const { api, messages } = tflite;
  let pointer: Pointer | null = null;
  let kept = false;
  const close = () => {
    if (pointer !== null) api.interpreterDelete(pointer);
    delegate?.destroy();
    pointer = null;
  };
  messages.take();
  try {
    const made = create(tflite, settings);
    pointer = made;
    resize(tflite, settings, made);
    const status = delegate === null ? 0 : api.modifyGraphWithDelegate(made, delegate.pointer);
    if (status !== STATUS.ok) return { status, said: messages.take() };
    if (api.allocateTensors(made) !== STATUS.ok) throw notReady(tflite, settings);
    kept = true;
    return { pointer: made, ...tensorsOf(tflite, made), note, close };
  } finally {
    if (!kept) close();
  }
}

function create(
  { api, messages, version }: Tflite,
  { model, modelPath, threads }: InterpreterSettings,
): Pointer {
  const options = api.optionsCreate();
  api.optionsSetNumThreads(options, threads);
  api.optionsSetErrorReporter(options, messages.reporter, messages.user);
  const pointer = api.interpreterCreate(model, options);
  api.optionsDelete(options);
  if (pointer === null) throw loadFailure(modelPath, messages.take(), { version }, 'INVALID_MODEL');
  return pointer;
}

/** The file is to blame for shapes that it declares itself, whoever feeds it for others. */
function notReady(tflite: Tflite, { shapes, modelPath }: InterpreterSettings): RuntimeFailure {
  const said = tflite.messages.take();
  if (shapes !== null) return badShapes(modelPath, shapes, said);
  return loadFailure(modelPath, said, tflite, 'UNSUPPORTED');
}

function badShapes(
  modelPath: string,
  shapes: readonly (readonly number[])[],
  said: string,
): RuntimeFailure {
  const list = shapes.map((shape) => `[${shape.join(',')}]`).join(' ');
  const message = `cannot run ${modelPath} with inputs of the shapes ${list}: ${clean(said)}`;
  return new RuntimeFailure('BAD_INPUT', message);
}

function resize(
  { api, messages }: Tflite,
  { shapes, modelPath }: InterpreterSettings,
  interpreter: Pointer,
): void {
  for (const [index, shape] of (shapes ?? []).entries()) {
    if (api.resizeInput(interpreter, index, Int32Array.from(shape), shape.length) !== STATUS.ok) {
      throw badShapes(modelPath, shapes ?? [], messages.take());
    }
  }
}

function tensorsOf({ api }: Tflite, interpreter: Pointer) {
  const inputs = Array.from({ length: api.inputCount(interpreter) }, (_, index) =>
    api.inputTensor(interpreter, index),
  );
  const outputs = Array.from({ length: api.outputCount(interpreter) }, (_, index) =>
    api.outputTensor(interpreter, index),
  );
  return { inputs, outputs };
}
