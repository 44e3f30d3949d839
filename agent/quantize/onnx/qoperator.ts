import { applyEdit, dropUnused, newEdit } from '../../model/onnx/edit.ts';
import type { GraphEdit } from '../../model/onnx/edit.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { MS_DOMAIN, indexGraph, namelessNode, opName } from '../../model/onnx/graph.ts';
import type { GraphIndex } from '../../model/onnx/graph.ts';
import { withGraph, withOpset } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';

/**
 * A model in QDQ form with the integer operators written out (QLinearConv, com.microsoft.QGemm, ...):
 * what onnxruntime makes of QDQ form when it loads a model, for runtimes and tools that expect the
 * operators themselves. Ops that have no such form stay between DequantizeLinear and QuantizeLinear.
 */
export function toQOperator(model: OnnxModel): OnnxModel {
  const index = indexGraph(model.graph);
  const edit = newEdit();
  for (const node of model.graph.node) {
    const form = FORMS.get(opName(node));
    const made = form === undefined ? undefined : rewrite(node, form, index);
    if (made !== undefined) put(node, made, edit);
  }
  const graph = dropUnused(applyEdit(model.graph, edit));
  return withOpset(withGraph(model, graph), MS_DOMAIN, 1);
}

/** A quantized tensor: its integers, scale and zero point; a bias has no zero point. */
type Triple = readonly [integers: string, scale: string, zeroPoint: string];

interface Surroundings {
  readonly inputs: readonly Triple[];
  /** Scale and zero point of the output; none where it is float. */
  readonly output: readonly string[];
}

/** What an op becomes: its operator and the order of the operator's inputs. */
interface Form {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: (node: NodeProto, around: Surroundings) => readonly string[];
  /** What the op becomes where its output is float. */
  readonly floatOutput?: Omit<Form, 'floatOutput'>;
}

const contrib = (op: string, inputs: Form['inputs']): Form => ({ op, domain: MS_DOMAIN, inputs });
const unary: Form['inputs'] = (_, { inputs, output }) => [...inputs.flat(), ...output];
const binary = unary;
/** The same op on the bytes as they are. */
const layout = (op: string): readonly [string, Form] => [
  op,
  { op, inputs: (node, { inputs: [[bytes] = ['', '', '']] }) => [bytes, ...node.input.slice(1)] },
];

const FORMS: ReadonlyMap<string, Form> = new Map<string, Form>([
  [
    'Conv',
    {
      op: 'QLinearConv',
      inputs: (_, { inputs: [x, w, bias], output }) => [
        ...(x ?? []),
        ...(w ?? []),
        ...output,
        ...(bias === undefined ? [] : [bias[0]]),
      ],
    },
  ],
  [
    'MatMul',
    {
      op: 'QLinearMatMul',
      inputs: binary,
      // The contrib operator takes the parts of both factors side by side.
      floatOutput: contrib('MatMulIntegerToFloat', (_, { inputs: [a = [], b = []] }) =>
        [0, 1, 2].flatMap((part) => [a[part] ?? '', b[part] ?? '']),
      ),
    },
  ],
  ['Gemm', { ...contrib('QGemm', gemm), floatOutput: contrib('QGemm', gemm) }],
  ['Add', contrib('QLinearAdd', binary)],
  ['Mul', contrib('QLinearMul', binary)],
  ['Concat', contrib('QLinearConcat', (_, { inputs, output }) => [...output, ...inputs.flat()])],
  ['AveragePool', contrib('QLinearAveragePool', unary)],
  ['GlobalAveragePool', contrib('QLinearGlobalAveragePool', unary)],
  ['LeakyRelu', contrib('QLinearLeakyRelu', unary)],
  ['Sigmoid', contrib('QLinearSigmoid', unary)],
  ...['MaxPool', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Flatten'].map(layout),
  ...['Slice', 'Split', 'Resize', 'Gather', 'Expand', 'Tile'].map(layout),
]);

function gemm(_: NodeProto, { inputs: [a, b, bias], output }: Surroundings): readonly string[] {
  const tail = [bias?.[0] ?? '', ...output];
  return [...(a ?? []), ...(b ?? []), ...(tail.join('') === '' ? [] : tail)];
}

interface Rewritten {
  readonly node: NodeProto;
  /** QuantizeLinear nodes that the operator makes superfluous. */
  readonly quantizers: readonly NodeProto[];
}

function rewrite(node: NodeProto, form: Form, index: GraphIndex): Rewritten | undefined {
  const inputs = node.input.map((name) => tripleOf(name, index)).filter((one) => one !== undefined);
  const activations =
    form.op === opName(node) ? 1 : node.input.filter((name) => name !== '').length;
  if (inputs.length < activations) return undefined;
  const quantizers = node.output.map((name) => quantizerOf(name, index));
  const known = quantizers.filter((one) => one !== undefined);
  const [first] = known;
  if (first === undefined) {
    const { floatOutput } = form;
    if (floatOutput === undefined || known.length > 0) return undefined;
    return { node: make(node, floatOutput, { inputs, output: [] }, node.output), quantizers: [] };
  }
  if (known.length < node.output.length) return undefined;
  const around = { inputs, output: first.input.slice(1) };
  const output = known.map((one) => one.output[0] ?? '');
  return { node: make(node, form, around, output), quantizers: known };
}

function make(
  node: NodeProto,
  { op, domain, inputs }: Form,
  around: Surroundings,
  output: readonly string[],
): NodeProto {
  const made = { ...namelessNode(op, inputs(node, around), output), name: node.name };
  // QGemm has no beta; the planner takes a Gemm only where it is 1.
  const attribute = node.attribute.filter(({ name }) => op !== 'QGemm' || name !== 'beta');
  return { ...made, attribute, ...(domain === undefined ? {} : { domain }) };
}

/** The integers behind a float tensor that a DequantizeLinear makes. */
function tripleOf(name: string, { producer }: GraphIndex): Triple | undefined {
  const maker = producer.get(name);
  if (maker === undefined || opName(maker) !== 'DequantizeLinear') return undefined;
  const [integers = '', scale = '', zeroPoint = ''] = maker.input;
  return [integers, scale, zeroPoint];
}

/** The QuantizeLinear that alone reads a tensor. */
function quantizerOf(name: string, { consumers, outputs }: GraphIndex): NodeProto | undefined {
  const [reader, ...others] = consumers.get(name) ?? [];
  if (reader === undefined || others.length > 0 || outputs.has(name)) return undefined;
  return opName(reader) === 'QuantizeLinear' ? reader : undefined;
}

function put(node: NodeProto, { node: made, quantizers }: Rewritten, edit: GraphEdit): void {
  edit.replace.set(node, [made]);
  for (const quantizer of quantizers) edit.replace.set(quantizer, []);
}
