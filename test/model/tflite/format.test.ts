import { describe, expect, test } from '@jest/globals';
import { BUILTIN_OPERATOR, TENSOR_TYPE } from '../../../agent/model/tflite/generated/enums.ts';
import { readModel } from '../../../agent/model/tflite/generated/model.ts';
import {
  BUILTIN_OPTIONS2_KINDS,
  BUILTIN_OPTIONS_KINDS,
} from '../../../agent/model/tflite/generated/options.ts';
import { openTflite, writeTflite } from '../../../agent/model/tflite/open.ts';
import { readRoot } from '../../../agent/model/tflite/reader.ts';
import { makeOperator } from '../../../agent/model/tflite/types.ts';
import type { TfliteOperator } from '../../../agent/model/tflite/types.ts';
import {
  fileOf,
  tfliteBytes,
  throughFile,
  tinyTflite,
  value,
} from '../../support/tflite-models.ts';
import { sampleModel } from './sample.ts';
import { filled, optionKinds } from './filled.ts';

const tablesOf = (file: Uint8Array) => readRoot(file, 'Model', readModel);

describe('the description of the format', () => {
  // Numbers from the public format description, at both ends and where lists are easy to get wrong.
  test.each([
    ['ADD', 0],
    ['CUSTOM', 32],
    ['UNIDIRECTIONAL_SEQUENCE_LSTM', 44],
    ['DELEGATE', 51],
    ['SELECT', 64],
    ['LEAKY_RELU', 98],
    ['QUANTIZE', 114],
    ['WHILE', 119],
    ['BATCH_MATMUL', 126],
    ['CUMSUM', 128],
    ['GELU', 150],
    ['BITCAST', 159],
    ['STABLEHLO_LOGISTIC', 162],
    ['STABLEHLO_GATHER', 201],
    ['STABLEHLO_COMPOSITE', 206],
    ['STABLEHLO_CASE', 209],
  ] as const)('operator %s is %i', (name, number) => {
    expect(BUILTIN_OPERATOR.indexOf(name)).toBe(number);
  });

  test.each([
    ['FLOAT32', 0],
    ['INT8', 9],
    ['VARIANT', 14],
    ['INT4', 17],
    ['FLOAT8_E5M2', 22],
  ] as const)('tensor type %s is %i', (name, number) => {
    expect(TENSOR_TYPE.indexOf(name)).toBe(number);
  });

  test.each([
    ['Conv2DOptions', 1],
    ['FullyConnectedOptions', 8],
    ['LSTMOptions', 14],
    ['ReducerOptions', 27],
    ['UnidirectionalSequenceLSTMOptions', 71],
    ['QuantizeOptions', 89],
    ['WhileOptions', 93],
    ['BatchMatMulOptions', 101],
    ['RightShiftOptions', 126],
  ] as const)('options %s are %i', (name, number) => {
    expect(BUILTIN_OPTIONS_KINDS[name]).toBe(number);
  });

  test.each([
    ['StablehloConcatenateOptions', 1],
    ['DilateOptions', 18],
    ['StableHLOCompositeOptions', 21],
    ['StablehloCaseOptions', 23],
  ] as const)('second options %s are %i', (name, number) => {
    expect(BUILTIN_OPTIONS2_KINDS[name]).toBe(number);
  });
});

describe('every field of every table', () => {
  test('survives a round trip', () => {
    const tables = filled('Model');
    const { value: read, unknown } = tablesOf(fileOf(tables));
    expect(unknown).toEqual([]);
    expect(read).toEqual(tables);
  });

  test.each(optionKinds())('%s survives a round trip', (_, union, options) => {
    const operator = { ...filled('Operator'), [union]: options };
    const graph = { ...filled('SubGraph'), operators: [operator] };
    const read = tablesOf(fileOf({ subgraphs: [graph] })).value;
    expect(read.subgraphs?.[0]?.operators).toEqual([operator]);
  });

  test('a field that is not set takes no place and reads as what its absence means', () => {
    const graph = { operators: [makeOperator({ op: 'CONV_2D', inputs: [], outputs: [] })] };
    const options = {
      kind: 'Conv2DOptions',
      padding: 'SAME',
      strideW: 0,
      strideH: 0,
      fusedActivationFunction: 'NONE',
      dilationWFactor: 1,
      dilationHFactor: 1,
      quantizedBiasType: 'FLOAT32',
    } as const;
    const bare = tfliteBytes(tinyTflite(graph));
    const operators = graph.operators.map((one) => ({ ...one, options }));
    const set = tinyTflite({ operators });
    expect(throughFile(set).subgraphs[0]?.operators[0]?.options).toEqual(options);
    // An offset, a byte and its padding for the kind, a table of one word, and its empty vtable.
    expect(tfliteBytes(set).length - bare.length).toBeLessThanOrEqual(32);
  });
});

const CODE = { deprecatedBuiltinCode: 0, builtinCode: 0, version: 1 };

/** The operator that a file with this operator code holds. */
function operatorWith(code: Partial<typeof CODE> & { customCode?: string }) {
  const operators = [
    {
      opcodeIndex: 0,
      customOptionsFormat: 'FLEXBUFFERS',
      largeCustomOptionsOffset: 0,
      largeCustomOptionsSize: 0,
      debugMetadataIndex: -1,
    } as const,
  ];
  const file = fileOf({
    operatorCodes: [{ ...CODE, ...code }],
    subgraphs: [{ operators, debugMetadataIndex: -1 }],
  });
  return openTflite(file).subgraphs[0]?.operators[0];
}

/** The operator codes of a file of these operators. */
function codesOf(...operators: readonly Partial<TfliteOperator>[]) {
  const model = tinyTflite({
    operators: operators.map((one) => makeOperator({ op: 'ADD', inputs: [], outputs: [], ...one })),
  });
  return tablesOf(tfliteBytes(model)).value.operatorCodes;
}

describe('operator codes', () => {
  test.each([
    ['only the old byte', { deprecatedBuiltinCode: 9 }, 'FULLY_CONNECTED'],
    ['both', { deprecatedBuiltinCode: 9, builtinCode: 9 }, 'FULLY_CONNECTED'],
    ['only the new number', { builtinCode: 9 }, 'FULLY_CONNECTED'],
    ['a number beyond the byte', { deprecatedBuiltinCode: 127, builtinCode: 150 }, 'GELU'],
    ['a number that nobody knows', { deprecatedBuiltinCode: 127, builtinCode: 300 }, '#300'],
    ['neither', {}, 'ADD'],
  ])('%s', (_, code, op) => {
    expect(operatorWith(code)?.op).toBe(op);
  });

  test('are written in both ways', () => {
    expect(codesOf({ op: 'FULLY_CONNECTED', version: 4 }, { op: 'GELU' }, { op: '#300' })).toEqual([
      { deprecatedBuiltinCode: 9, builtinCode: 9, version: 4, customCode: undefined },
      { deprecatedBuiltinCode: 127, builtinCode: 150, version: 1, customCode: undefined },
      { deprecatedBuiltinCode: 127, builtinCode: 300, version: 1, customCode: undefined },
    ]);
  });

  test('stand once per operator, custom name and version', () => {
    const codes = codesOf(
      { op: 'ADD' },
      { op: 'ADD', version: 2 },
      { op: 'CUSTOM', customCode: 'a' },
      { op: 'ADD' },
      { op: 'CUSTOM', customCode: 'b' },
      { op: 'CUSTOM', customCode: 'a' },
    );
    expect(
      codes?.map(({ builtinCode, version, customCode }) => [builtinCode, version, customCode]),
    ).toEqual([
      [0, 1, undefined],
      [0, 2, undefined],
      [32, 1, 'a'],
      [32, 1, 'b'],
    ]);
  });
});

describe('what a newer format may hold', () => {
  const file = () => Buffer.from(tfliteBytes(sampleModel()));

  test('values without a name are kept', () => {
    const tensors = [{ ...value('x'), type: '#77' } as const];
    expect(throughFile(tinyTflite({ tensors })).subgraphs[0]?.tensors[0]?.type).toBe('#77');
  });

  test('a field that this program does not know is found, and the file not written', () => {
    const tables = fileOf({ subgraphs: [{ name: 'g', debugMetadataIndex: -1 }] });
    // The vtable of the graph gets a slot more, which leads to the graph's own first field.
    const wider = widened(tables);
    const model = openTflite(wider);
    expect(model.unknown).toEqual(['field 6 of subgraphs[0]']);
    expect(() => writeTflite(model)).toThrow(/newer than this program.*field 6 of subgraphs\[0\]/);
  });

  test('options of an unknown kind are found, and the file not written', () => {
    const bytes = file();
    const kind = BUILTIN_OPTIONS_KINDS.GeluOptions;
    const at = placesOf(bytes, kind).find((place) => {
      const changed = Buffer.from(bytes);
      changed[place] = 200;
      return refusedFor(changed, /kind 200 of subgraphs\[2\].operators\[0\].builtinOptions/);
    });
    expect(at).toBeDefined();
  });
});

/** All places of a byte. */
const placesOf = (bytes: Uint8Array, byte: number) =>
  [...bytes.keys()].filter((at) => bytes[at] === byte);

function refusedFor(bytes: Uint8Array, message: RegExp): boolean {
  try {
    writeTflite(openTflite(bytes));
    return false;
  } catch (error) {
    return error instanceof Error && message.test(error.message);
  }
}

/**
 * The file with the vtable of its only graph moved to the end, one slot longer than the format knows.
 * A graph has six slots.
 */
function widened(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const at = (start: number) => start + view.getUint32(start, true);
  const field = (table: number, slot: number) => {
    const vtable = table - view.getInt32(table, true);
    return table + view.getUint16(vtable + 4 + 2 * slot, true);
  };
  const graph = at(at(field(at(0), 2)) + 4);
  const name = field(graph, 4) - graph;
  const vtable = Uint16Array.of(4 + 2 * 7, 8, 0, 0, 0, 0, name, 0, name);
  const wider = Buffer.concat([file, new Uint8Array(vtable.buffer)]);
  wider.writeInt32LE(graph - file.length, graph);
  return wider;
}
