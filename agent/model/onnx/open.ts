import { ModelError } from '../errors.ts';
import { readModelProto, writeModelProto } from './generated/messages.ts';
import type { GraphProto, ModelProto } from './generated/messages.ts';
import { refuseExternal, resolveExternal } from './external.ts';
import type { ReadExternal } from './external.ts';
import { isDefaultDomain, mapGraphs } from './graph.ts';
import { MAX_FILE_BYTES } from './limits.ts';
import { inOrder } from './order.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

export type { ExternalRange, ReadExternal } from './external.ts';

export interface OnnxModel {
  readonly format: 'onnx';
  readonly proto: ModelProto;
  readonly graph: GraphProto;
  /** Version of the default operator set. */
  readonly opset: number;
}

/**
 * Reads an ONNX file. Tensor bytes stay views on `bytes`; tensors that lie in other files are
 * fetched through `readExternal`. In every graph of the result each tensor has one maker, and
 * nodes stand behind those that they read from.
 * @throws ModelError with the offset of what is wrong
 */
export function openOnnx(
  bytes: Uint8Array,
  readExternal: ReadExternal = refuseExternal,
): OnnxModel {
  if (bytes.length === 0) throw new ModelError('NOT_A_MODEL', 'the file is empty');
  if (bytes.length > MAX_FILE_BYTES) {
    throw new ModelError('LIMIT', `${bytes.length} bytes; an ONNX file ends at ${MAX_FILE_BYTES}`);
  }
  const proto = readModelProto(new Reader(bytes));
  if (proto.graph === undefined || proto.irVersion === undefined) {
    throw new ModelError('NOT_A_MODEL', 'no graph inside: this is not an ONNX model');
  }
  const opset = proto.opsetImport.find(({ domain }) => isDefaultDomain(domain))?.version;
  const resolved = mapGraphs(inOrder(proto.graph), (graph) => resolveExternal(graph, readExternal));
  return onnxModel({ ...proto, graph: resolved }, opset);
}

function onnxModel(
  proto: ModelProto & { graph: GraphProto },
  opset: number | undefined,
): OnnxModel {
  return { format: 'onnx', proto, graph: proto.graph, opset: opset ?? 1 };
}

/** The same model around another graph. */
export function withGraph(model: OnnxModel, graph: GraphProto): OnnxModel {
  return onnxModel({ ...model.proto, graph }, model.opset);
}

/** The same model, with `domain` imported at `version` unless it already is. */
export function withOpset(model: OnnxModel, domain: string, version: number): OnnxModel {
  const imports = model.proto.opsetImport;
  const same = (other = '') =>
    other === domain || (isDefaultDomain(other) && isDefaultDomain(domain));
  if (imports.some((entry) => same(entry.domain))) return model;
  const proto = {
    ...model.proto,
    graph: model.graph,
    opsetImport: [...imports, { domain, version }],
  };
  return onnxModel(proto, model.opset);
}

/** The file's bytes in chunks; large tensors are passed on without a copy. */
export function writeOnnx(model: OnnxModel): readonly Uint8Array[] {
  const writer = new Writer();
  writeModelProto(writer, model.proto);
  if (writer.length > MAX_FILE_BYTES) {
    throw new ModelError('LIMIT', `${writer.length} bytes; an ONNX file ends at ${MAX_FILE_BYTES}`);
  }
  return writer.finish();
}
