/*
 * Engines of the stand-in: a line of JSON, then the ONNX file. They compute what the model computes, by
 * onnxruntime; FP16 rounds the outputs to half precision.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';

// By address: what is built is no part of the sources.
const built = (name) => new URL(`../../../dist/agent/model/onnx/${name}.js`, import.meta.url).href;
const { openOnnx } = await import(built('open'));
const { tensorNumbers } = await import(built('tensor'));

export function writeEngine(path, details, onnx) {
  writeFileSync(path, Buffer.concat([Buffer.from(`${JSON.stringify(details)}\n`), onnx]));
}

export function readEngine(path) {
  const bytes = readFileSync(path);
  const end = bytes.indexOf(10);
  return { details: JSON.parse(bytes.subarray(0, end).toString()), onnx: bytes.subarray(end + 1) };
}

/** What the parser of TensorRT refuses in a quantized model, in its words. */
export function parserProblem(onnx, version) {
  const { graph } = openOnnx(onnx);
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  for (const { opType, input, output } of graph.node) {
    if (opType === 'EfficientNMS_Other') return `No importer registered for op: ${opType}`;
    if (opType !== 'QuantizeLinear' && opType !== 'DequantizeLinear') continue;
    const zero = constants.get(input[2]);
    if (zero !== undefined && tensorNumbers(zero).some((value) => value !== 0)) {
      return 'Assertion failed: shiftIsAllZeros(zeroPoint) && "TensorRT only supports symmetric quantization. The zero point for the QuantizeLinear/DequantizeLinear operator must be all zeros."';
    }
    if (version < 1000 && opType === 'DequantizeLinear' && constants.has(input[0])) {
      return `Error[3]: ${output[0]}: only activation types allowed as input to this layer.`;
    }
  }
  return undefined;
}

/** Runs the model on inputs given as raw bytes by name; others are zero. */
export async function runModel({ onnx, details }, given, shapes, version) {
  const folder = mkdtempSync(join(tmpdir(), 'stand-in-'));
  try {
    const path = join(folder, 'model.onnx');
    writeFileSync(path, onnx);
    const session = await ort.InferenceSession.create(path, { logSeverityLevel: 4 });
    const feeds = {};
    for (const { name, type, shape } of session.inputMetadata) {
      const dims = shapes[name] ?? shape;
      feeds[name] = tensorOf(name, type, dims, given[name], version);
    }
    const outputs = await session.run(feeds);
    await session.release();
    const inputs = Object.entries(feeds).map(([name, { dims }]) => ({ name, dims }));
    return { inputs, outputs: Object.entries(outputs).map((one) => asExported(one, details)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function tensorOf(name, type, dims, bytes, version) {
  if (dims.some((size) => typeof size !== 'number')) throw new Error(`no shape for input ${name}`);
  const count = dims.reduce((a, b) => a * b, 1);
  if (type === 'int64') {
    const Stored = version < 1000 ? Int32Array : BigInt64Array;
    const values = readValues(name, Stored, bytes, count);
    return new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims);
  }
  const Stored = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array }[type];
  return new ort.Tensor(type, readValues(name, Stored, bytes, count), dims);
}

function readValues(name, Stored, bytes, count) {
  if (bytes === undefined) return new Stored(count);
  const expected = count * Stored.BYTES_PER_ELEMENT;
  if (bytes.length !== expected) {
    throw new Error(`Note: file of input ${name} has ${bytes.length} bytes, not ${expected}`);
  }
  return new Stored(Uint8Array.from(bytes).buffer);
}

function asExported([name, { dims, data }], { fp16 }) {
  const values = Array.from(data, Number);
  return { name, dims, values: fp16 ? values.map(half) : values };
}

/** To 11 bits of mantissa. */
function half(value) {
  if (value === 0 || !Number.isFinite(value)) return value;
  const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 10);
  return Math.round(value / step) * step;
}
