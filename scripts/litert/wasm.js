// @ts-check
// LiteRT, the newest TFLite runtime at hand, as its authors build it for WebAssembly: it needs no
// compiler, no library of the system and no Python, and what it cannot run ends no process.
//
// The package is made for browsers. What is used here is the layer below its API, which knows more
// element types: Emscripten's module factory, a script that is no ES module in a package of such.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { compileFunction } from 'node:vm';

const require = createRequire(import.meta.url);
const folder = join(dirname(dirname(require.resolve('@litertjs/core'))), 'wasm');

/** `relaxed` has faster kernels and needs relaxed SIMD, `compat` runs wherever plain SIMD does. */
const FILES = { relaxed: 'litert_wasm_internal', compat: 'litert_wasm_compat_internal' };

/** @typedef {keyof typeof FILES} Build */

/**
 * The layer below the API, as far as it is used here; all of it throws on failure.
 * @typedef {object} Litert
 * @property {Uint8Array} HEAPU8
 * @property {(bytes: number) => number} _malloc
 * @property {(pointer: number) => void} _free
 * @property {{ create(device: null): Handle }} LiteRtEnvironment
 * @property {(environment: Handle, pointer: number, bytes: number) => Model} loadModel
 * @property {(environment: Handle, model: Model, options: { accelerator: 'wasm' }) => Promise<Compiled>} compileModel
 * @property {{ createManaged(environment: Handle, kind: unknown, type: TensorType, bytes: number): TensorBuffer }} LiteRtTensorBuffer
 * @property {{ HOST_MEMORY: unknown }} LiteRtTensorBufferType
 * @property {{ READ: unknown, WRITE: unknown }} LiteRtTensorBufferLockMode
 * @property {{ create(dimensions: Vector<number>): Layout }} LiteRtLayout
 * @property {{ create(element: unknown, layout: Layout): TensorType }} LiteRtRankedTensorType
 * @property {new () => Vector<number>} VectorInt32
 *
 * @typedef {{ delete(): void }} Handle
 * @typedef {Handle & { getNumSignatures(): number, getSignature(at: number): Signature,
 *   getInputTensorType(signature: number, at: number): TensorType,
 *   getOutputTensorType(signature: number, at: number): TensorType }} Model
 * @typedef {Handle & { run(signature: number, inputs: TensorBuffer[]): TensorBuffer[] | Promise<TensorBuffer[]>,
 *   isFullyAccelerated(): boolean }} Compiled
 * @typedef {Handle & { key(): string, inputNames(): Vector<string>, outputNames(): Vector<string> }} Signature
 * @typedef {Handle & { dimensions(): Vector<number> }} Layout
 * @typedef {Handle & { elementType(): { value: number }, layout(): Layout, bytes(): number }} TensorType
 * @typedef {Handle & { lock(mode: unknown): number, unlock(): void, tensorType(): TensorType,
 *   packedSize(): number, offset(): number }} TensorBuffer
 */

/**
 * @template T
 * @typedef {Handle & { size(): number, get(at: number): T, push_back(value: T): void }} Vector
 */

/** `i32x4.relaxed_trunc_f32x4_s` on a zero, in a module of one function without a result. */
const RELAXED_SIMD = Buffer.from(
  '0061736d01000000010401600000030201000a0c010a004100fd0ffd81021a0b',
  'hex',
);

/** The fastest build that this Node.js runs; older ones have relaxed SIMD behind a flag. @returns {Build} */
export function fastestBuild() {
  if (WebAssembly.validate(RELAXED_SIMD)) return 'relaxed';
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  return WebAssembly.validate(RELAXED_SIMD) ? 'relaxed' : 'compat';
}

/** Version of the package. */
export function litertVersion() {
  const path = join(dirname(folder), 'package.json');
  return String(JSON.parse(readFileSync(path, 'utf8')).version);
}

class NoRegistry {
  register() {}
  unregister() {}
}

/** Compiled code, by build: what is made of it may be thrown away. @type {Map<Build, Promise<WebAssembly.Module>>} */
const compiled = new Map();

/** @param {Build} build */
function codeOf(build) {
  const known = compiled.get(build);
  if (known !== undefined) return known;
  const code = WebAssembly.compile(readFileSync(join(folder, `${FILES[build]}.wasm`)));
  compiled.set(build, code);
  return code;
}

/** @param {unknown} made @returns {made is (settings: object) => Promise<Litert>} */
const isFactory = (made) => typeof made === 'function';

/**
 * A fresh runtime with memory of its own. Whatever it says goes to `say`, one line at a time.
 * @param {Build} build
 * @param {(line: string) => void} say
 * @returns {Promise<Litert>}
 */
export async function startLitert(build, say) {
  const code = await codeOf(build);
  const path = join(folder, `${FILES[build]}.js`);
  const script = { exports: {} };
  // What a broken file left in memory must not be tidied up later, when nobody catches what that throws.
  const names = ['module', 'exports', 'require', '__filename', '__dirname', 'FinalizationRegistry'];
  const run = compileFunction(readFileSync(path, 'utf8'), names, { filename: path });
  run(script, script.exports, require, path, folder, NoRegistry);
  const { exports: factory } = script;
  if (!isFactory(factory)) throw new Error(`${path} is not what it was: no module factory`);
  return factory({
    print: say,
    printErr: say,
    /** @param {WebAssembly.Imports} imports @param {(instance: WebAssembly.Instance, module: unknown) => void} done */
    instantiateWasm(imports, done) {
      void WebAssembly.instantiate(code, imports).then((instance) => done(instance, code));
      return {};
    },
  });
}

/**
 * A list of C++ as an array.
 * @template T
 * @param {Vector<T>} vector is freed
 */
export function listOf(vector) {
  const list = Array.from({ length: vector.size() }, (_, at) => vector.get(at));
  vector.delete();
  return list;
}
