import { endsShort, mayEndShort } from '../../model/tflite/short-windows.ts';
import type { FlatTable } from './flat-table.ts';

/* Field numbers are those of the format's schema (tensorflow/lite/schema/schema.fbs, version 3). */

const MODEL = { operatorCodes: 1 } as const;
const OPERATOR_CODE = { formerly: 0, builtin: 3 } as const;
const SUBGRAPH = { tensors: 0, operators: 3 } as const;
const OPERATOR = { code: 0, inputs: 1, options: 4 } as const;
const TENSOR = { shape: 0 } as const;
/** Of both kinds of convolution; padding SAME is 0. */
const OPTIONS = { padding: 0, strideW: 1, strideH: 2 } as const;
/** By the operator's code, for CONV_2D and DEPTHWISE_CONV_2D. */
const DILATION: ReadonlyMap<number, { readonly width: number; readonly height: number }> = new Map([
  [3, { width: 4, height: 5 }],
  [4, { width: 5, height: 6 }],
]);

/**
 * Whether some convolution's windows end before its input does (`endsShort`).
 * @param open whether inputs may have other sizes than the file declares, and with them any tensor
 */
export function hasShortWindows(
  model: FlatTable,
  subgraphs: readonly FlatTable[],
  open: boolean,
): boolean {
  const codes = model
    .tables(MODEL.operatorCodes)
    .map((one) => Math.max(one.int8(OPERATOR_CODE.formerly), one.int32(OPERATOR_CODE.builtin)));
  return subgraphs.some((graph) => {
    const tensors = graph.tables(SUBGRAPH.tensors);
    const shapeOf = (at: number) => tensors[at]?.ints(TENSOR.shape) ?? [];
    return graph.tables(SUBGRAPH.operators).some((operator) => {
      const dilation = DILATION.get(codes[operator.int32(OPERATOR.code)] ?? -1);
      const options = operator.table(OPERATOR.options);
      if (dilation === undefined || options?.int8(OPTIONS.padding) !== 0) return false;
      const [input = -1, filter = -1] = operator.ints(OPERATOR.inputs) ?? [];
      const [, height = 0, width = 0] = shapeOf(input);
      const [, rows = 0, columns = 0] = shapeOf(filter);
      if (rows * columns <= 1) return false;
      const [strideH, strideW] = [options.int32(OPTIONS.strideH), options.int32(OPTIONS.strideW)];
      const down = reachOf(rows, options.int32(dilation.height, 1));
      const along = reachOf(columns, options.int32(dilation.width, 1));
      return [
        { size: height, stride: strideH, reach: down },
        { size: width, stride: strideW, reach: along },
      ].some((axis) => (open && mayEndShort(axis)) || endsShort(axis));
    });
  });
}

const reachOf = (taps: number, dilation: number) => (taps - 1) * dilation + 1;
