import type { Scheme } from '../../contracts/scheme.ts';
import { bytesOf } from '../../model/bytes.ts';
import { tensorNameMaker } from '../../model/tflite/graph.ts';
import { elementCount } from '../../model/tflite/tensor.ts';
import { makeOperator, makeTensor, optionsOf } from '../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import type { QuantParams } from '../arithmetic.ts';
import { ruleFor } from '../excluded.ts';
import { paramsIn } from './choose-params.ts';
import { denseShape, pixelConv, pixelFilters } from './dense-as-conv.ts';
import type { DenseShape } from './dense-as-conv.ts';
import { productsWithRowScales } from './dense-grain.ts';
import type { WeightPlace } from './op-table.ts';
import { withAsymmetricInputs } from './hybrid-ops.ts';
import { recurrentParts } from './recurrent/write.ts';
import { operatorVersion } from './op-versions.ts';
import type { StaticPlan } from './static-plan.ts';
import type { Decoded } from './stored-weights.ts';
import { staticWeights, storedGrain } from './static-weights.ts';
import type { StaticWeights, WeightForm } from './static-weights.ts';
import { toInt8 } from './symmetric.ts';
import { TENSOR_TYPE, integerConstant, integerTensor } from './tensor-bytes.ts';
import { interfaceOf, namedOperator } from './units.ts';
import type { IntegerUnit } from './units.ts';

/** A rewritten graph, and what takes the place of its inputs and outputs. */
export interface Written {
  readonly graph: TfliteGraph;
  readonly inputs: ReadonlyMap<number, number>;
  readonly outputs: ReadonlyMap<number, number>;
}

/**
 * Rewrites one graph by a plan. Tensors that integer units make keep their indices; where one is a
 * float output of the model, its name goes to the float tensor behind it.
 */
export class StaticWriter {
  private readonly plan: StaticPlan;
  private readonly before: Decoded['before'];
  private readonly scheme: Scheme;
  private readonly labels: ReadonlyMap<TfliteOperator, string>;
  private readonly tensors: TfliteTensor[];
  private readonly operators: TfliteOperator[] = [];
  private readonly unique: (wish: string) => string;
  private readonly rowScales: ReadonlySet<TfliteOperator>;
  /** Tensors of the graph that hold integers now. */
  private readonly integer = new Set<number>();
  /** Index and params -> the tensor with these. */
  private readonly forms = new Map<string, number>();
  private readonly floats = new Map<number, number>();
  private readonly stored = new Map<string, number>();
  private readonly inputs = new Map<number, number>();
  private readonly outputs = new Map<number, number>();
  /** Rows -> the same values as pixels. */
  private readonly pixels = new Map<number, { readonly at: number; readonly channels: number }>();

  /** @param before what to put back for operators that stay in float */
  constructor(
    plan: StaticPlan,
    scheme: Scheme,
    labels: ReadonlyMap<TfliteOperator, string>,
    before: Decoded['before'] = new Map(),
  ) {
    this.plan = plan;
    this.before = before;
    this.scheme = scheme;
    this.labels = labels;
    this.tensors = [...plan.given.graph.tensors];
    this.unique = tensorNameMaker(plan.given.graph);
    this.rowScales = productsWithRowScales(plan.given, plan.units.values());
  }

  write(): Written {
    const { graph } = this.plan.given;
    this.makeIntegers();
    this.openInputs();
    for (const operator of graph.operators) {
      const unit = this.plan.units.get(operator);
      if (unit === undefined) this.writeFloat(operator);
      else this.writeUnit(unit);
    }
    for (const at of graph.outputs) this.closeOutput(at);
    for (const [at, tensor] of this.before) this.tensors[at] = tensor;
    const before = new Set(graph.operators);
    const operators = this.operators.map((one) =>
      before.has(one) ? one : { ...one, version: operatorVersion(one, (at) => this.tensors[at]) },
    );
    return {
      graph: { ...graph, tensors: this.tensors, operators },
      inputs: this.inputs,
      outputs: this.outputs,
    };
  }

  /** Gives the tensors that hold integers from now on their new types. */
  private makeIntegers(): void {
    const { given, units, params } = this.plan;
    const { index, integerInterface } = given;
    const made = [...units.values()].flatMap(({ outputs }) => outputs);
    const entering = [...units.values()].flatMap(({ inputs }) =>
      inputs.filter((at) => integerInterface && index.inputs.has(at)),
    );
    for (const at of new Set([...made, ...entering])) {
      const tensor = this.tensors[at];
      const found = params.get(at);
      if (tensor === undefined || found === undefined) continue;
      this.integer.add(at);
      this.tensors[at] = integerTensor(tensor, found);
    }
  }

  /** A model with uint8 outside turns it into int8 first. */
  private openInputs(): void {
    const { index } = this.plan.given;
    if (interfaceOf(this.scheme) !== 'uint8') return;
    for (const at of index.inputs) if (this.integer.has(at)) this.inputs.set(at, this.unsigned(at));
    for (const [at, outside] of this.inputs) this.convert('QUANTIZE', outside, at);
  }

  private closeOutput(at: number): void {
    if (!this.integer.has(at) || this.outputs.has(at) || this.plan.given.index.inputs.has(at))
      return;
    const wanted = interfaceOf(this.scheme);
    if (wanted === 'float32') this.outputs.set(at, this.floatForm(at));
    if (wanted !== 'uint8') return;
    const outside = this.unsigned(at);
    this.outputs.set(at, outside);
    this.convert('QUANTIZE', at, outside);
  }

  /** A uint8 tensor with the name and the values of an int8 one, which gets another name. */
  private unsigned(at: number): number {
    const { scale, zeroPoint } = this.home(at);
    const inside = this.tensorAt(at);
    this.tensors[at] = { ...inside, name: this.unique(`${inside.name}_int8`) };
    return this.add(integerTensor(inside, { type: 'u8', scale, zeroPoint: zeroPoint + 128 }));
  }

  private writeFloat(operator: TfliteOperator): void {
    const inputs = operator.inputs.map((at) => (this.integer.has(at) ? this.floatForm(at) : at));
    const hybrid = this.plan.hybrid.get(operator);
    if (hybrid !== undefined) {
      for (const { position } of hybrid) {
        const at = inputs[position] ?? -1;
        const stored = toInt8(this.tensorAt(at), null);
        inputs[position] = this.store({ ...stored, name: this.constantName(at) });
      }
      this.operators.push(withAsymmetricInputs({ ...operator, inputs }));
      return;
    }
    const same = inputs.every((at, position) => at === operator.inputs[position]);
    this.operators.push(same ? operator : { ...operator, inputs });
  }

  private writeUnit(unit: IntegerUnit): void {
    const { operator, rule } = unit;
    const data = new Set([...unit.inputs, ...unit.constants]);
    const inputs = operator.inputs.map((at) => (data.has(at) ? this.dataForm(unit, at) : at));
    if (rule.recurrent !== undefined) return this.writeRecurrent(unit, inputs);
    if (rule.weights === undefined) {
      this.operators.push({ ...withFreeScales(operator), inputs });
      return;
    }
    const grain = storedGrain(unit, this.plan.given);
    const perChannel = grain === undefined ? this.isPerChannel(unit) : grain === 'channel';
    const dense = perChannel ? denseShape(this.plan.given, unit) : undefined;
    if (dense !== undefined && this.isWorthPixels(dense, inputs)) {
      return this.writeDense(unit, dense, inputs);
    }
    const place = rule.weights;
    const form = { place, perChannel: perChannel && place.perChannel, needsBias: place.needsBias };
    this.placeWeights(unit, place, this.weightsOf(unit, form), inputs);
    this.operators.push({ ...this.withoutHybrid(operator), inputs });
  }

  /** A layer with a state: the state changes in place, since nobody else has it. */
  private writeRecurrent(unit: IntegerUnit, inputs: number[]): void {
    const { operator } = unit;
    const [input = -1] = unit.inputs;
    const [output = -1] = unit.outputs;
    const around = { input: this.home(input), output: this.home(output) };
    const { constants, states, intermediates } = recurrentParts(this.plan.given, unit, around);
    for (const [position, tensor] of constants) {
      const name = this.constantName(operator.inputs[position] ?? -1);
      inputs[position] = this.store({ ...tensor, name });
    }
    for (const [position, tensor] of states) inputs[position] = this.add(tensor);
    const inside = new Map(
      [...new Set(intermediates)].map(
        (one) => [one, this.add({ ...one, name: this.unique(one.name) })] as const,
      ),
    );
    this.operators.push({
      ...this.withoutHybrid(operator),
      inputs,
      intermediates: intermediates.map((one) => inside.get(one) ?? -1),
    });
  }

  /** The version of a float operator with int8 weights is another than with int8 all around. */
  private withoutHybrid(operator: TfliteOperator): TfliteOperator {
    const isFloat = (at: number) => (this.before.get(at)?.type ?? 'FLOAT32') === 'FLOAT32';
    if (operator.inputs.every(isFloat)) return operator;
    const { options } = operator;
    return options !== null && 'asymmetricQuantizeInputs' in options
      ? { ...operator, version: 1, options: { ...options, asymmetricQuantizeInputs: false } }
      : { ...operator, version: 1 };
  }

  /** A small one is, too, where what it reads is there as pixels already. */
  private isWorthPixels({ isLarge, inputs }: DenseShape, [from = -1]: readonly number[]): boolean {
    return isLarge || this.pixels.get(from)?.channels === inputs;
  }

  /** A matrix product as a convolution of pixels, for the sake of its weights' scales. */
  private writeDense(unit: IntegerUnit, shape: DenseShape, inputs: number[]): void {
    const place = unit.rule.weights;
    if (place === undefined) return;
    const [made = -1] = unit.outputs;
    const { weights, bias } = this.weightsOf(unit, { place, perChannel: true, needsBias: true });
    this.placeWeights(unit, place, { weights: pixelFilters(weights), bias }, inputs);
    inputs[0] = this.pixelsOf(inputs[0] ?? -1, shape.inputs);
    const outputs = weights.shape[0] ?? 1;
    const pixels = this.addPixels(made, outputs);
    this.operators.push(pixelConv(unit.operator, inputs, pixels));
    this.pixels.set(made, { at: pixels, channels: outputs });
    this.reshape(pixels, made, shape.result);
  }

  /** Rows of so many values as pixels of so many channels. */
  private pixelsOf(at: number, channels: number): number {
    const known = this.pixels.get(at);
    if (known?.channels === channels) return known.at;
    const made = this.addPixels(at, channels);
    this.pixels.set(at, { at: made, channels });
    this.reshape(at, made, [-1, 1, 1, channels]);
    return made;
  }

  private addPixels(at: number, channels: number): number {
    const { name, type, quantization, shape, shapeSignature } = this.tensorAt(at);
    const rows = Math.max(1, Math.floor(Math.abs(elementCount(shape)) / channels));
    const fields = { type, quantization, shape: [rows, 1, 1, channels] };
    const isOpen = shapeSignature?.includes(-1) === true;
    const open = isOpen ? { shapeSignature: [-1, 1, 1, channels] } : {};
    return this.add(makeTensor({ name: this.unique(`${name}_pixels`), ...fields, ...open }));
  }

  private reshape(from: number, to: number, shape: readonly number[]): void {
    const sizes = this.store(
      makeTensor({
        name: this.unique(`${this.tensorAt(to).name}_shape`),
        type: 'INT32',
        shape: [shape.length],
        data: bytesOf(Int32Array.from(shape)),
      }),
    );
    const options = { kind: 'ReshapeOptions', newShape: shape } as const;
    this.operators.push(
      makeOperator({ op: 'RESHAPE', inputs: [from, sizes], outputs: [to], options }),
    );
  }

  private dataForm(unit: IntegerUnit, at: number): number {
    const params = paramsIn(this.plan.given, unit, at, this.plan.params);
    if (!unit.constants.includes(at)) return this.integerForm(at, params);
    return this.once(at, params, () => {
      const tensor = this.tensorAt(at);
      return this.add({ ...integerConstant(tensor, params), name: this.constantName(at) });
    });
  }

  private isPerChannel({ operator }: IntegerUnit): boolean {
    const { given } = this.plan;
    const label = this.labels.get(operator) ?? '';
    const named = namedOperator(given.graph, operator, label, given.names);
    const asked = ruleFor(this.scheme, named).perChannel;
    if (asked !== undefined) return asked;
    const isWorthIt = operator.op !== 'FULLY_CONNECTED' || this.rowScales.has(operator);
    return this.scheme.perChannel && isWorthIt;
  }

  private weightsOf(unit: IntegerUnit, form: WeightForm): StaticWeights {
    const [input = -1] = unit.inputs;
    const [output = -1] = unit.outputs;
    return staticWeights(unit, {
      ...form,
      given: this.plan.given,
      inputScale: this.home(input).scale,
      outputScale: this.home(output).scale,
    });
  }

  private placeWeights(
    { operator }: IntegerUnit,
    place: WeightPlace,
    { weights, bias }: StaticWeights,
    inputs: number[],
  ): void {
    const from = operator.inputs[place.input] ?? -1;
    inputs[place.input] = this.store({ ...weights, name: this.constantName(from) });
    if (bias === undefined) return;
    while (inputs.length < place.bias) inputs.push(-1);
    inputs[place.bias] = this.store(bias);
  }

  /** Adds a constant, once for all that are the same. */
  private store(tensor: TfliteTensor): number {
    const { name, type, shape, quantization, data } = tensor;
    const bytes = Buffer.from(data ?? []).toString('base64');
    const key = JSON.stringify([name, type, shape, quantization, bytes]);
    const known = this.stored.get(key);
    if (known !== undefined) return known;
    const added = this.add(tensor);
    this.stored.set(key, added);
    return added;
  }

  /** The name goes on where nobody else reads the float values. */
  private constantName(at: number): string {
    const { name } = this.tensorAt(at);
    const readers = this.plan.given.index.consumers.get(at) ?? [];
    const { units, hybrid } = this.plan;
    const isFree = readers.every((one) => units.has(one) || hybrid.has(one));
    return isFree ? name : `${name}_int8`;
  }

  /** The tensor with these params: itself, or requantized, or quantized. */
  private integerForm(at: number, params: QuantParams): number {
    if (this.integer.has(at) && isSame(this.home(at), params)) return at;
    return this.once(at, params, () => {
      const tensor = this.tensorAt(at);
      const name = this.unique(`${tensor.name}_${TENSOR_TYPE[params.type].toLowerCase()}`);
      const made = this.add({ ...integerTensor(tensor, params), name });
      return this.convert('QUANTIZE', at, made);
    });
  }

  private floatForm(at: number): number {
    const known = this.floats.get(at);
    if (known !== undefined) return known;
    const { index } = this.plan.given;
    const tensor = this.tensorAt(at);
    const takesName = index.outputs.has(at) && interfaceOf(this.scheme) === 'float32';
    const name = takesName ? tensor.name : this.unique(`${tensor.name}_float`);
    if (takesName) {
      const type = tensor.type.toLowerCase();
      this.tensors[at] = { ...tensor, name: this.unique(`${tensor.name}_${type}`) };
    }
    const made = this.add({ ...tensor, name, type: 'FLOAT32', quantization: null });
    this.floats.set(at, made);
    return this.convert('DEQUANTIZE', at, made);
  }

  private convert(op: 'QUANTIZE' | 'DEQUANTIZE', from: number, to: number): number {
    const kind = op === 'QUANTIZE' ? 'QuantizeOptions' : 'DequantizeOptions';
    this.operators.push(makeOperator({ op, inputs: [from], outputs: [to], options: { kind } }));
    return to;
  }

  private once(at: number, params: QuantParams, make: () => number): number {
    const key = `${at} ${params.type} ${params.scale} ${params.zeroPoint}`;
    const known = this.forms.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.forms.set(key, made);
    return made;
  }

  private add(tensor: TfliteTensor): number {
    return this.tensors.push(tensor) - 1;
  }

  private tensorAt(at: number): TfliteTensor {
    const tensor = this.tensors[at];
    if (tensor === undefined) throw new Error(`no tensor ${at}`);
    return tensor;
  }

  private home(at: number): QuantParams {
    const params = this.plan.params.get(at);
    if (params === undefined) throw new Error(`no parameters for ${this.tensorAt(at).name}`);
    return params;
  }
}

function isSame(a: QuantParams, b: QuantParams): boolean {
  return a.type === b.type && a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

/** For 16-bit ADD and SUB: scales need not be powers of two. */
function withFreeScales(operator: TfliteOperator): TfliteOperator {
  const options = optionsOf(operator, 'AddOptions') ?? optionsOf(operator, 'SubOptions');
  return options === undefined
    ? operator
    : { ...operator, options: { ...options, potScaleInt16: false } };
}
