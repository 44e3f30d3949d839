// @ts-check
// A .tflite file in LiteRT behind the interface that the agent's own runtimes have, so that the same
// code feeds, compares and times it.
import { LitertError, litertError } from './error.js';
import { placesOf } from './ports.js';
import { describeTensor, makeBuffer, readTensor, writeTensor } from './tensors.js';
import { listOf, startLitert } from './wasm.js';

/** @typedef {import('../../agent/runtime/types.ts').Session} Session */
/** @typedef {import('../../agent/runtime/types.ts').Feeds} Feeds */
/** @typedef {import('../../agent/runtime/types.ts').Outputs} Outputs */
/** @typedef {import('./ports.js').Ports} Ports */

/** @typedef {Session & { readonly isDelegated: boolean }} LitertSession `isDelegated`: XNNPACK runs all of it */

/**
 * Opens a file in a runtime of its own: what a broken one does to its memory hits nobody else, and all
 * of it is gone with the session. Nothing is carried from one run to the next, since LiteRT refuses
 * files with variable tensors. Open dimensions are run as the file declares them: the builds for
 * WebAssembly cannot resize. Throws LitertError.
 * @param {Uint8Array} bytes
 * @param {Ports} ports
 * @param {import('./wasm.js').Build} build
 * @returns {Promise<LitertSession>}
 */
export async function openLitert(bytes, ports, build = 'compat') {
  /** @type {string[]} */
  const said = [];
  const litert = await startLitert(build, (line) => said.push(line));
  try {
    const opened = await open(litert, bytes, ports);
    return sessionOf(opened, (error) => litertError(error, said));
  } catch (error) {
    throw litertError(error, said);
  }
}

/** @param {import('./wasm.js').Litert} litert @param {Uint8Array} bytes @param {Ports} ports */
async function open(litert, bytes, ports) {
  const environment = litert.LiteRtEnvironment.create(null);
  // oxlint-disable-next-line no-underscore-dangle -- as Emscripten names it
  const pointer = litert._malloc(bytes.length);
  litert.HEAPU8.set(bytes, pointer);
  const model = litert.loadModel(environment, pointer, bytes.length);
  const compiled = await litert.compileModel(environment, model, { accelerator: 'wasm' });
  const { signature } = ports;
  if (ports.obstacle !== null) throw new LitertError(ports.obstacle);
  const names = model.getSignature(signature);
  const outputPlaces = placesOf(ports.outputs, listOf(names.outputNames()));
  const inputs = placesOf(ports.inputs, listOf(names.inputNames())).map((place, index) => {
    const description = describeTensor(ports.inputs[index]);
    const type = model.getInputTensorType(signature, place);
    return { place, description, buffer: makeBuffer(litert, environment, type, description) };
  });
  const outputs = ports.outputs.map((port, index) => ({
    place: outputPlaces[index] ?? -1,
    description: describeTensor(port),
  }));
  return { litert, compiled, signature, inputs, outputs };
}

/** @typedef {Awaited<ReturnType<typeof open>>} Opened */

/** @param {Opened} opened @param {(error: unknown) => Error} explain @returns {LitertSession} */
function sessionOf(opened, explain) {
  const { litert, compiled, inputs, outputs } = opened;
  const invoke = async () => {
    try {
      return await compiled.run(opened.signature, inOrder(opened));
    } catch (error) {
      throw explain(error);
    }
  };
  /** @param {Feeds} feeds */
  const load = (feeds) => {
    for (const { description, buffer } of inputs) {
      writeTensor(litert, buffer, description, feeds[description.name]);
    }
  };
  return {
    isDelegated: compiled.isFullyAccelerated(),
    describe: () => ({
      inputs: inputs.map(({ description }) => description),
      outputs: outputs.map(({ description }) => description),
    }),
    async run(feeds) {
      load(feeds);
      const made = await invoke();
      try {
        return Object.fromEntries(
          outputs.map(({ place, description }) => [
            description.name,
            readTensor(litert, made[place], description),
          ]),
        );
      } finally {
        for (const buffer of made) buffer.delete();
      }
    },
    prepare(feeds) {
      load(feeds);
      return async () => {
        for (const buffer of await invoke()) buffer.delete();
      };
    },
    async close() {
      for (const { buffer } of inputs) buffer.delete();
      compiled.delete();
    },
  };
}

/** Input buffers in the order of LiteRT. @param {Opened} opened */
function inOrder({ inputs }) {
  return inputs.toSorted((a, b) => a.place - b.place).map(({ buffer }) => buffer);
}
