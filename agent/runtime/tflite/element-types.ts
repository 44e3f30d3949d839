/** TfLiteType (tensorflow/lite/c/c_api_types.h), by number. */
const NAMES: readonly string[] = [
  'none',
  'float32',
  'int32',
  'uint8',
  'int64',
  'string',
  'bool',
  'int16',
  'complex64',
  'int8',
  'float16',
  'float64',
  'complex128',
  'uint64',
  'resource',
  'variant',
  'uint32',
  'uint16',
  'int4',
  'bfloat16',
];

/** The name of a TfLiteType; `type 42` for one that is newer than this program. */
export function typeName(type: number): string {
  return NAMES[type] ?? `type ${type}`;
}
