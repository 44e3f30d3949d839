import { setImmediate as letEventsIn } from 'node:timers/promises';
import { checkFeeds, sizeOf } from '../feeds.ts';
import type { Feeds, OpenOptions, Outputs, Session, Tensor } from '../types.ts';
import { STATUS } from './api.ts';
import { type Ports, at, describePorts, elementType, portsOf, shapeOf } from './describe.ts';
import { newArray } from '../element-arrays.ts';
import { runFailure } from './errors.ts';
import { readFileFacts } from './file-facts.ts';
import { type Interpreter, makeInterpreter } from './interpreter.ts';
import { type LoadedModel, loadModel } from './load-model.ts';
import type { Tflite } from './native.ts';

/**
 * A run keeps this thread, so that a measured time holds nothing but the model: handing it to
 * another thread costs about 8 microseconds, ten times what the smallest models take. Whoever makes
 * many runs lets events in this often.
 */
const EVENTS_EVERY_MS = 50;

/** What a session works on. */
interface Opened {
  readonly tflite: Tflite;
  readonly modelPath: string;
  readonly ports: Ports;
  readonly hasVariables: boolean;
  readonly model: LoadedModel;
  /** Makes an interpreter for these shapes, or for those that the file declares. */
  readonly make: (shapes: readonly (readonly number[])[] | null) => Interpreter;
  /** Null after one could not be made, and after the end. */
  interpreter: Interpreter | null;
  /** What was copied in last, so that a prepared run knows whether it is still there. */
  loaded: Feeds | null;
}

/** Opens a model file. Throws RuntimeFailure. */
export function openSession(tflite: Tflite, modelPath: string, options: OpenOptions): Session {
  const facts = readFileFacts(modelPath);
  const ports = portsOf(modelPath, facts, options.signature);
  const model = loadModel(tflite, modelPath, facts, options);
  const opened: Opened = {
    tflite,
    modelPath,
    ports,
    hasVariables: facts.hasVariables,
    model,
    make: (shapes) => makeInterpreter(tflite, settingsOf(modelPath, model, options, shapes)),
    interpreter: null,
    loaded: null,
  };
  try {
    const interpreter = opened.make(null);
    opened.interpreter = interpreter;
    const description = describePorts(
      tflite.api,
      modelPath,
      facts,
      ports,
      interpreter,
      model.remark,
    );
    return sessionOf(opened, description);
  } catch (error) {
    free(opened);
    throw error;
  }
}

function settingsOf(
  modelPath: string,
  { pointer, xnnpack, note }: LoadedModel,
  { threads, delegate }: OpenOptions,
  shapes: readonly (readonly number[])[] | null,
) {
  return { modelPath, model: pointer, threads, xnnpack, note, delegate, shapes };
}

function sessionOf(opened: Opened, description: ReturnType<Session['describe']>): Session {
  let closed = false;
  let eventsAt = performance.now();
  return {
    describe: () => description,
    async run(feeds) {
      checkFeeds(description.inputs, feeds);
      if (performance.now() - eventsAt > EVENTS_EVERY_MS) {
        await letEventsIn();
        eventsAt = performance.now();
      }
      return outputsOf(opened, invoke(opened, load(opened, feeds)));
    },
    prepare(feeds) {
      checkFeeds(description.inputs, feeds);
      load(opened, feeds);
      return async () => {
        const { interpreter, loaded } = opened;
        invoke(opened, loaded === feeds && interpreter ? interpreter : load(opened, feeds));
      };
    },
    async close() {
      if (!closed) free(opened);
      closed = true;
    },
  };
}

/** The delegate goes after the interpreter that uses it, and the model last. */
function free(opened: Opened): void {
  opened.interpreter?.close();
  opened.interpreter = null;
  opened.loaded = null;
  opened.tflite.api.modelDelete(opened.model.pointer);
}

/** Copies the feeds in, into a new interpreter where their shapes are new. */
function load(opened: Opened, feeds: Feeds): Interpreter {
  const { ports, tflite } = opened;
  opened.loaded = null;
  const tensors = ports.inputs.toSorted((a, b) => a.place - b.place).map(({ name }) => feeds[name]);
  const interpreter = fitting(opened, tensors);
  for (const [place, tensor] of tensors.entries()) {
    if (tensor === undefined || !ArrayBuffer.isView(tensor.data)) continue;
    const { data } = tensor;
    if (tflite.api.copyIn(at(interpreter.inputs, place), data, data.byteLength) !== STATUS.ok) {
      throw runFailure(opened.modelPath, `cannot copy input ${place} of ${data.byteLength} bytes`);
    }
  }
  opened.loaded = feeds;
  return interpreter;
}

function fitting(opened: Opened, tensors: readonly (Tensor | undefined)[]): Interpreter {
  const { api } = opened.tflite;
  const shapes = tensors.map((tensor) => tensor?.shape ?? []);
  const now = opened.interpreter;
  if (
    now !== null &&
    shapes.every((shape, place) => isSame(shape, shapeOf(api, at(now.inputs, place))))
  ) {
    return now;
  }
  now?.close();
  opened.interpreter = null;
  opened.interpreter = opened.make(shapes);
  return opened.interpreter;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** One run. What the model remembers from the run before is forgotten first. */
function invoke(opened: Opened, interpreter: Interpreter): Interpreter {
  const { api, messages } = opened.tflite;
  if (opened.hasVariables) api.resetVariableTensors(interpreter.pointer);
  if (api.invoke(interpreter.pointer) !== STATUS.ok) {
    throw runFailure(opened.modelPath, messages.take());
  }
  return interpreter;
}

function outputsOf({ tflite, modelPath, ports }: Opened, interpreter: Interpreter): Outputs {
  const { api } = tflite;
  const entries = ports.outputs.map(({ name, place }) => {
    const tensor = at(interpreter.outputs, place);
    const dtype = elementType(api, modelPath, name, tensor);
    const shape = shapeOf(api, tensor);
    const data = newArray(dtype, sizeOf(shape));
    if (data.length > 0 && api.copyOut(tensor, data, data.byteLength) !== STATUS.ok) {
      throw runFailure(modelPath, `cannot copy output '${name}' of ${data.byteLength} bytes`);
    }
    return [name, { dtype, shape, data }] as const;
  });
  return Object.fromEntries(entries);
}
