import type { InspectReport, InspectedModel, LayerError } from '../../agent/contracts/inspect.ts';

export const floatModel: InspectedModel = {
  name: 'tiny',
  path: 'tiny.onnx',
  sha256: 'ab',
  format: 'onnx',
  bytes: 4000,
  producer: 'pytorch 2.4',
  irVersion: 8,
  opsets: [{ domain: 'ai.onnx', version: 17 }],
  precision: 'fp32',
  form: null,
  inputs: [{ name: 'x', dtype: 'float32', shape: [1, 'height', null] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: null }],
  parameters: [{ dtype: 'float32', count: 750, bytes: 3000 }],
  ops: [
    { op: 'Conv', nodes: 2, parameters: 750, parameterBytes: 3000 },
    { op: 'Relu', nodes: 2, parameters: 0, parameterBytes: 0 },
  ],
  layers: [
    { node: 'second', op: 'Conv', parameters: 500, parameterBytes: 2000 },
    { node: 'first', op: 'Conv', parameters: 250, parameterBytes: 1000 },
  ],
};

export const quantizedModel: InspectedModel = {
  ...floatModel,
  name: 'small',
  path: 'small.onnx',
  precision: 'int8',
  form: 'qdq',
};

/** Report of one model. */
export const inspectReport: InspectReport = {
  schema: 'edgefit/inspect/1',
  model: floatModel,
  integerCoverage: 0,
  warnings: [],
};

export function layer(tensor: string, changes: Partial<LayerError> = {}): LayerError {
  return {
    tensor,
    node: `node-${tensor}`,
    op: 'Conv',
    integer: true,
    output: false,
    sqnrDb: 30,
    ownSqnrDb: 35,
    maxAbsError: 0.125,
    floatRange: { min: -1, max: 2 },
    quantizedRange: { min: -1, max: 1.875 },
    values: 100,
    ...changes,
  };
}

/** Report of a comparison of these layers. */
export function comparisonOf(layers: readonly LayerError[]): InspectReport {
  return {
    ...inspectReport,
    integerCoverage: 0.995,
    quantized: quantizedModel,
    comparison: {
      samples: 16,
      source: 'the first 16 of 64 samples from data.npz',
      sqnrDb: 24.3,
      layers: [...layers],
      worst: layers.slice(0, 1).map(({ tensor }) => tensor),
      unmatched: [
        {
          tensor: 'bn',
          node: 'norm',
          op: 'BatchNormalization',
          reason: 'not in the quantized model',
        },
      ],
    },
  };
}
