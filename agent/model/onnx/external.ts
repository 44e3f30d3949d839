import { messageOf } from '../../util/errors.ts';
import { ModelError } from '../errors.ts';
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from './generated/messages.ts';
import { storedBytes } from './tensor.ts';

/** Tensors that lie in files beside the model (onnx docs, "External Data"). */

/** Where in a file beside the model a tensor's bytes lie. */
export interface ExternalRange {
  /** Path relative to the model's folder, already checked to stay inside it. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export type ReadExternal = (range: ExternalRange) => Uint8Array;

/** onnx.TensorProto.DataLocation */
const EXTERNAL = 1;

const isExternal = (tensor: TensorProto | undefined) => tensor?.dataLocation === EXTERNAL;
const holdsExternal = ({ t, tensors }: AttributeProto) => isExternal(t) || tensors.some(isExternal);

/** The graph (without its bodies) with every external tensor fetched; the same graph if none is. */
export function resolveExternal(graph: GraphProto, read: ReadExternal): GraphProto {
  const resolve = (tensor: TensorProto) => (isExternal(tensor) ? inlined(tensor, read) : tensor);
  const inAttribute = (one: AttributeProto): AttributeProto =>
    holdsExternal(one)
      ? { ...one, t: one.t && resolve(one.t), tensors: one.tensors.map(resolve) }
      : one;
  const inNode = (node: NodeProto): NodeProto =>
    node.attribute.some(holdsExternal)
      ? { ...node, attribute: node.attribute.map(inAttribute) }
      : node;
  const initializer = graph.initializer.map(resolve);
  const node = graph.node.map(inNode);
  const same =
    initializer.every((tensor, index) => tensor === graph.initializer[index]) &&
    node.every((one, index) => one === graph.node[index]);
  return same ? graph : { ...graph, initializer, node };
}

function inlined(tensor: TensorProto, read: ReadExternal): TensorProto {
  const range = rangeOf(tensor);
  const where = `tensor '${tensor.name ?? ''}' in ${range.location}`;
  let rawData: Uint8Array;
  try {
    rawData = read(range);
  } catch (error) {
    throw new ModelError('EXTERNAL_DATA', `${where}: ${messageOf(error)}`, error);
  }
  if (rawData.length !== range.length) {
    const found = `${rawData.length} of ${range.length} bytes at ${range.offset}`;
    throw new ModelError('EXTERNAL_DATA', `${where}: ${found}`);
  }
  return { ...tensor, rawData, externalData: [], dataLocation: undefined };
}

function rangeOf(tensor: TensorProto): ExternalRange {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value ?? '']));
  const location = entries.get('location') ?? '';
  if (!staysInside(location)) {
    const message = `tensor '${tensor.name ?? ''}' points outside the model's folder: '${location}'`;
    throw new ModelError('EXTERNAL_DATA', message);
  }
  const wanted = storedBytes(tensor);
  const offset = entries.get('offset') ?? '0';
  const length = entries.get('length') ?? String(wanted);
  const legal = [offset, length].every((text) => /^\d{1,15}$/.test(text));
  if (!legal || Number(length) !== wanted) {
    const found = `offset ${offset}, length ${length}`;
    throw new ModelError(
      'EXTERNAL_DATA',
      `tensor '${tensor.name ?? ''}' in ${location}: ${found}, need ${wanted}`,
    );
  }
  return { location, offset: Number(offset), length: wanted };
}

/** A relative path without `..`, on any operating system: `/a`, `\a`, `C:a` and `\0` are refused. */
function staysInside(location: string): boolean {
  if (location === '' || /^[/\\]|^[A-Za-z]:|\0/.test(location)) return false;
  return !location.split(/[/\\]/).includes('..');
}

/** For models that must bring everything along. */
export function refuseExternal({ location }: ExternalRange): never {
  throw new Error(`${location} is not at hand`);
}
