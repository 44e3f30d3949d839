import type {
  GraphProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from '../../agent/model/onnx/generated/messages.ts';
import { openOnnx, writeOnnx } from '../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../agent/model/onnx/open.ts';
import { writeModelProto } from '../../agent/model/onnx/generated/messages.ts';
import { Writer } from '../../agent/model/onnx/writer.ts';

/** Tensor name -> [element type, shape]; a string is a symbolic dimension. */
export type TinyValues = Readonly<
  Record<string, readonly [dataType: number, shape?: readonly (number | string)[]]>
>;

export interface TinyGraph {
  readonly inputs?: TinyValues;
  readonly outputs: TinyValues;
  readonly nodes: readonly NodeProto[];
  readonly initializers?: readonly TensorProto[];
  readonly valueInfo?: TinyValues;
}

export interface TinyModel extends TinyGraph {
  /** Version of the default operator set; 17 unless told. */
  readonly opset?: number;
  readonly domains?: Readonly<Record<string, number>>;
}

function valueInfos(values: TinyValues = {}): ValueInfoProto[] {
  return Object.entries(values).map(([name, [elemType, shape]]) => {
    const dim = shape?.map((size) =>
      typeof size === 'number' ? { dimValue: size } : { dimParam: size },
    );
    return { name, type: { tensorType: { elemType, ...(dim && { shape: { dim } }) } } };
  });
}

/** A graph, e.g. as the body of an If. */
export function tinyGraph(tiny: TinyGraph, name = 'tiny'): GraphProto {
  return {
    name,
    node: tiny.nodes,
    initializer: tiny.initializers ?? [],
    input: valueInfos(tiny.inputs),
    output: valueInfos(tiny.outputs),
    valueInfo: valueInfos(tiny.valueInfo),
    quantizationAnnotation: [],
    sparseInitializer: [],
  };
}

/** The bytes of a model around a graph. */
export function tinyBytes(tiny: TinyModel): Uint8Array {
  const opsets = { '': tiny.opset ?? 17, ...tiny.domains };
  const writer = new Writer();
  writeModelProto(writer, {
    irVersion: 8,
    producerName: 'edgefit-test',
    graph: tinyGraph(tiny),
    opsetImport: Object.entries(opsets).map(([domain, version]) => ({ domain, version })),
    metadataProps: [],
    functions: [],
  });
  return Buffer.concat(writer.finish());
}

/** A small model, as if it had been read from a file. */
export function tinyModel(tiny: TinyModel): OnnxModel {
  return openOnnx(tinyBytes(tiny));
}

/** The bytes of a model in one piece, for a runtime. */
export function modelBytes(model: OnnxModel): Uint8Array {
  return Buffer.concat(writeOnnx(model));
}
