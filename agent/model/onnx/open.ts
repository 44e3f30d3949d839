import { ModelError } from '../errors.ts';
import { readModelProto, writeModelProto } from './generated/messages.ts';
import type { GraphProto, ModelProto, NodeProto, TensorProto } from './generated/messages.ts';
import { MAX_FILE_BYTES } from './limits.ts';
import { mapGraphs } from './graph.ts';
import { byteLength } from './tensor.ts';
import { Reader, Writer } from './wire.ts';

/** Where in a file beside the model a tensor's bytes lie (onnx docs, "External Data"). */
export interface ExternalRange {
  /** Path relative to the model's folder, already checked to stay inside it. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export type ReadExternal = (range: ExternalRange) => Uint8Array;

export interface OnnxModel {
  readonly format: 'onnx';
  readonly proto: ModelProto;
  readonly graph: GraphProto;
  /** Version of the default operator set. */
  readonly opset: number;
}

/**
 * Reads an ONNX file. Tensor bytes stay views on `bytes`; tensors that lie in other files are
 * fetched through `readExternal`.
 * @throws ModelError with the offset of what is wrong
 */
export function openOnnx(bytes: Uint8Array, readExternal: ReadExternal = refuse): OnnxModel {
  if (bytes.length === 0) throw new ModelError('NOT_A_MODEL', 'the file is empty');
  if (bytes.length > MAX_FILE_BYTES) {
    throw new ModelError('LIMIT', `${bytes.length} bytes; an ONNX file ends at ${MAX_FILE_BYTES}`);
  }
  const proto = readModelProto(new Reader(bytes));
  if (proto.graph === undefined || proto.irVersion === undefined) {
    throw new ModelError('NOT_A_MODEL', 'no graph inside: this is not an ONNX model');
  }
  const opset = proto.opsetImport.find(({ domain }) => (domain ?? '') === '')?.version;
  const resolved = mapGraphs(proto.graph, (graph) => resolveExternal(graph, readExternal));
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
  if (imports.some((entry) => (entry.domain ?? '') === domain)) return model;
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

const EXTERNAL = 1;

function resolveExternal(graph: GraphProto, read: ReadExternal): GraphProto {
  const resolve = (tensor: TensorProto) =>
    tensor.dataLocation === EXTERNAL ? inlined(tensor, read) : tensor;
  const inNodes = (node: NodeProto): NodeProto =>
    node.attribute.some(({ t }) => t?.dataLocation === EXTERNAL)
      ? {
          ...node,
          attribute: node.attribute.map((a) => (a.t === undefined ? a : { ...a, t: resolve(a.t) })),
        }
      : node;
  if (
    !graph.initializer.some((t) => t.dataLocation === EXTERNAL) &&
    !graph.node.some(hasExternal)
  ) {
    return graph;
  }
  return { ...graph, initializer: graph.initializer.map(resolve), node: graph.node.map(inNodes) };
}

const hasExternal = (node: NodeProto) =>
  node.attribute.some(({ t }) => t?.dataLocation === EXTERNAL);

function inlined(tensor: TensorProto, read: ReadExternal): TensorProto {
  const name = tensor.name ?? '';
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value ?? '']));
  const location = entries.get('location') ?? '';
  // onnx docs: the location must stay inside the model's folder.
  if (location === '' || location.startsWith('/') || location.split(/[/\\]/).includes('..')) {
    throw new ModelError(
      'EXTERNAL_DATA',
      `tensor '${name}' points outside the folder: '${location}'`,
    );
  }
  const wanted = byteLength(tensor.dataType ?? 0, tensor.dims);
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? wanted);
  if (!Number.isSafeInteger(offset) || offset < 0 || length !== wanted) {
    const found = `offset ${entries.get('offset') ?? 0}, length ${entries.get('length') ?? wanted}`;
    throw new ModelError(
      'EXTERNAL_DATA',
      `tensor '${name}' in ${location}: ${found}, need ${wanted}`,
    );
  }
  const rawData = read({ location, offset, length });
  return { ...tensor, rawData, externalData: [], dataLocation: undefined };
}

function refuse({ location }: ExternalRange): never {
  throw new ModelError(
    'EXTERNAL_DATA',
    `the model keeps tensors in ${location}, which is not at hand`,
  );
}
