import { bytesOf } from '../../model/bytes.ts';
import { elementCount } from '../../model/tflite/tensor.ts';
import { makeOperator, makeTensor } from '../../model/tflite/types.ts';
import type { TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import { pixelConv, pixelFilters } from './dense-as-conv.ts';
import { operatorVersion } from './op-versions.ts';
import type { GraphRewrite } from './rewrite.ts';
import { toUnevenInt8 } from './symmetric.ts';

/**
 * Writes matrix products with int8 weights as convolutions of single pixels, for a scale per output
 * (dense-as-conv.ts): up to ten decibels closer to float, on all libraries, and in less time on TFLite
 * 2.9. Rows become pixels and pixels rows again; what nobody reads of that falls away with `compact`.
 */
export class DynamicDense {
  readonly #rewrite: GraphRewrite;
  /** Rows -> the same values as pixels. */
  readonly #pixels = new Map<number, { readonly at: number; readonly channels: number }>();

  constructor(rewrite: GraphRewrite) {
    this.#rewrite = rewrite;
  }

  /** What takes the operator's place; undefined where the file does not tell the result's shape. */
  written(operator: TfliteOperator): readonly TfliteOperator[] | undefined {
    const [x = -1, w = -1, bias = -1] = operator.inputs;
    const [y = -1] = operator.outputs;
    const [rows = 0, inputs = 0] = this.#rewrite.tensor(w).shape;
    const result = resultShape(this.#rewrite.tensor(y), rows);
    if (result === undefined || rows === 0 || inputs === 0) return undefined;
    const before: TfliteOperator[] = [];
    const known = this.#pixels.get(x);
    const from = known?.channels === inputs ? known.at : this.#addPixels(x, inputs);
    if (known?.at !== from) before.push(this.#reshape(x, from, [-1, 1, 1, inputs]));
    const to = this.#addPixels(y, rows);
    // The kernel of 2.9 asks for one.
    const added = bias < 0 ? this.#constant('bias', 'FLOAT32', new Float32Array(rows)) : bias;
    const conv = pixelConv(operator, [from, this.#filters(w), added], to);
    const version = operatorVersion(conv, (at) => this.#rewrite.tensor(at));
    return [...before, { ...conv, version }, this.#reshape(to, y, result)];
  }

  #filters(w: number): number {
    const stored = this.#rewrite.store(w, 'int8 along 0', (tensor) => toUnevenInt8(tensor, 0));
    const rows = this.#rewrite.tensor(stored);
    return this.#rewrite.add({ ...pixelFilters(rows), name: rows.name });
  }

  #addPixels(at: number, channels: number): number {
    const tensor = this.#rewrite.tensor(at);
    const count = Math.max(1, Math.floor(elementCount(tensor.shape) / channels));
    const name = this.#rewrite.name(`${tensor.name}_pixels`);
    const made = this.#rewrite.add(
      makeTensor({
        name,
        type: tensor.type,
        shape: [count, 1, 1, channels],
        ...openLike(tensor, channels),
      }),
    );
    this.#pixels.set(at, { at: made, channels });
    return made;
  }

  #reshape(from: number, to: number, shape: readonly number[]): TfliteOperator {
    const sizes = this.#constant('shape', 'INT32', Int32Array.from(shape));
    const options = { kind: 'ReshapeOptions', newShape: shape } as const;
    return makeOperator({ op: 'RESHAPE', inputs: [from, sizes], outputs: [to], options });
  }

  #constant(wish: string, type: 'INT32' | 'FLOAT32', values: Int32Array | Float32Array): number {
    const fields = { type, shape: [values.length], data: bytesOf(values) };
    return this.#rewrite.add(makeTensor({ name: this.#rewrite.name(wish), ...fields }));
  }
}

function openLike({ shapeSignature }: TfliteTensor, channels: number): Partial<TfliteTensor> {
  return shapeSignature?.includes(-1) === true ? { shapeSignature: [-1, 1, 1, channels] } : {};
}

/** With an open batch, whatever the file says of it. */
function resultShape(
  { shape, shapeSignature }: TfliteTensor,
  rows: number,
): readonly number[] | undefined {
  if (shape.length < 2 || shape.at(-1) !== rows) return undefined;
  const inner = (shapeSignature ?? shape).slice(1, -1);
  return inner.some((size) => size < 0) ? undefined : [-1, ...inner, rows];
}
