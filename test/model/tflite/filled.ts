import type { Model, Operator, SubGraph } from '../../../agent/model/tflite/generated/model.ts';
import { parseSchema } from '../../../scripts/tflite-schema/parse.js';

/**
 * Tables with a value in every field that is not what the field's absence means, made from the
 * description of the format.
 */

interface Field {
  readonly name: string;
  readonly type: string;
  readonly form: 'single' | 'list' | 'packed';
  readonly fallback?: string;
}

interface Part {
  readonly name: string;
  readonly members: readonly string[];
  readonly fields: readonly Field[];
}

const parts = ['enums.txt', 'options.txt', 'model.txt'].map((file) => parseSchema(file));
const byName = (list: readonly Part[]) => new Map(list.map((one) => [one.name, one]));
const enums = byName(parts.flatMap((part) => part.enums));
const unions = byName(parts.flatMap((part) => part.unions));
const tables = byName(parts.flatMap((part) => part.tables));
const kinds = new Set([...unions.values()].flatMap(({ members }) => members));

const SCALARS: Readonly<Record<string, (absent: string | undefined) => unknown>> = {
  bool: (absent) => absent !== 'true',
  int8: () => -7,
  int32: () => -123_456,
  uint32: () => 4_000_000_000,
  int64: () => -(2 ** 40),
  uint64: () => 2 ** 40,
  long: () => -(2n ** 62n),
  float: () => 0.15625,
  string: () => 'grün',
  bytes: () => Uint8Array.of(1, 2, 3),
};
const LISTS: Readonly<Record<string, unknown>> = {
  bool: [true, false, true],
  int32: [1, -2, 3],
  int64: [2 ** 50, -1],
  long: [2n ** 62n, -1n],
  float: [0.5, -0.25, Infinity],
};
const PACKED: Readonly<Record<string, unknown>> = {
  int32: Int32Array.of(1, -2, 3),
  uint16: Uint16Array.of(1, 65_535, 3),
};

function valueOf({ type, form, fallback }: Field): unknown {
  if (form === 'packed') return PACKED[type];
  const named = enums.get(type)?.members.at(-1);
  if (named !== undefined) return form === 'list' ? [named, named] : named;
  const [kind] = unions.get(type)?.members ?? [];
  if (kind !== undefined) return filledTable(kind);
  if (tables.has(type))
    return form === 'list' ? [filledTable(type), filledTable(type)] : filledTable(type);
  return form === 'list' ? LISTS[type] : SCALARS[type]?.(fallback);
}

/** The tables that tests ask for by name. */
interface Tables {
  readonly Model: Model;
  readonly Operator: Operator;
  readonly SubGraph: SubGraph;
}

export function filled<K extends keyof Tables>(name: K): Tables[K] {
  return filledTable(name) as Tables[K];
}

function filledTable(name: string): object {
  const fields = tables.get(name)?.fields ?? [];
  const values = fields.map((field) => [field.name, valueOf(field)]);
  const kind = kinds.has(name) ? { kind: name } : {};
  return { ...kind, ...Object.fromEntries(values) };
}

/** [kind, the operator's field that holds it, the table with all fields set]. */
export function optionKinds(): (readonly [string, string, object])[] {
  return [
    ['BuiltinOptions', 'builtinOptions'],
    ['BuiltinOptions2', 'builtinOptions2'],
  ].flatMap(([union = '', field = '']) =>
    (unions.get(union)?.members ?? []).map((kind) => [kind, field, filledTable(kind)] as const),
  );
}
