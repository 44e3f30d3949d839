/**
 * Writes a float ONNX model: the few messages of onnx.proto3 that a plain network needs.
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */

const IR_VERSION = 8;
const OPSET = 17;
const FLOAT = 1;
const ATTRIBUTE = { float: 1, int: 2, ints: 7 };

const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

function varint(value) {
  const bytes = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

const tag = (field, wire) => varint(field * 8 + wire);
const int = (field, value) => Buffer.concat([tag(field, VARINT), varint(value)]);
const bytes = (field, value) => Buffer.concat([tag(field, BYTES), varint(value.length), value]);
const text = (field, value) => bytes(field, Buffer.from(value, 'utf8'));
const message = (field, parts) => bytes(field, Buffer.concat(parts));

function float(field, value) {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return Buffer.concat([tag(field, FIXED32), buffer]);
}

function attribute([name, value]) {
  if (Array.isArray(value)) {
    return message(5, [text(1, name), ...value.map((v) => int(8, v)), int(20, ATTRIBUTE.ints)]);
  }
  return Number.isInteger(value)
    ? message(5, [text(1, name), int(3, value), int(20, ATTRIBUTE.int)])
    : message(5, [text(1, name), float(2, value), int(20, ATTRIBUTE.float)]);
}

function littleEndian(values) {
  const buffer = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => buffer.writeFloatLE(value, i * 4));
  return buffer;
}

const tensor = ({ name, dims, values }) =>
  message(5, [
    ...dims.map((d) => int(1, d)),
    int(2, FLOAT),
    text(8, name),
    bytes(9, littleEndian(values)),
  ]);

const node = ({ op, name, inputs, outputs, attributes }) =>
  message(1, [
    ...inputs.map((input) => text(1, input)),
    ...outputs.map((output) => text(2, output)),
    text(3, name),
    text(4, op),
    ...Object.entries(attributes).map(attribute),
  ]);

const valueInfo = (field, { name, dims }) => {
  const shape = message(
    2,
    dims.map((d) => message(1, [int(1, d)])),
  );
  return message(field, [text(1, name), message(2, [message(1, [int(1, FLOAT), shape])])]);
};

/**
 * @typedef {{ op: string, name: string, inputs: string[], outputs: string[],
 *   attributes: Record<string, number | number[]> }} OnnxNode
 * @typedef {{ name: string, dims: number[], values: Float32Array }} OnnxTensor
 * @typedef {{ name: string, dims: number[] }} OnnxValue
 */

/**
 * @param {{ name: string, nodes: OnnxNode[], tensors: OnnxTensor[], input: OnnxValue, output: OnnxValue }} graph
 * @returns {Buffer} the file
 */
export function encodeOnnx({ name, nodes, tensors, input, output }) {
  const graph = [
    ...nodes.map(node),
    text(2, name),
    ...tensors.map(tensor),
    valueInfo(11, input),
    valueInfo(12, output),
  ];
  return Buffer.concat([
    int(1, IR_VERSION),
    text(2, 'edgefit-demo-model'),
    message(7, graph),
    message(8, [text(1, ''), int(2, OPSET)]),
  ]);
}
