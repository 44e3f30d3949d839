import { makeOperator, makeQuantization } from '../../../agent/model/tflite/types.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { add, constant, tinyTflite, value } from '../../support/tflite-models.ts';
import { storedZip } from './stored-zip.ts';

const labels = storedZip('labels.txt', Buffer.from('cat\ndog\n'));

/**
 * A little of everything that the format has: control flow, a custom operator, shared, sparse, 4-bit
 * and blockwise quantized constants, signatures, metadata.
 */
export function sampleModel(): TfliteModel {
  const shared = Uint8Array.from({ length: 16 }, (_, index) => index);
  return tinyTflite(
    [
      {
        tensors: [
          value('x'),
          value('flag', [], 'BOOL'),
          constant('w', new Float32Array(4), { shape: [1, 4], data: shared }),
          constant('w again', new Float32Array(4), { shape: [4], data: shared }),
          value('y'),
          value('z'),
          {
            ...constant('int4', Uint8Array.of(0x21, 0xf3), { type: 'INT4', shape: [4] }),
            quantization: makeQuantization([0.5, 0.25], [0, -1], 1),
          },
          {
            ...constant('sparse', Float32Array.of(1, 2), { shape: [2, 2] }),
            sparsity: {
              traversalOrder: [0, 1],
              dimMetadata: [
                { format: 'DENSE', denseSize: 2 },
                {
                  format: 'SPARSE_CSR',
                  denseSize: 0,
                  arraySegments: { kind: 'Int32Vector', values: Int32Array.of(0, 1, 2) },
                  arrayIndices: { kind: 'Uint8Vector', values: Uint8Array.of(0, 1) },
                },
              ],
            },
          },
          constant('scales', Uint8Array.of(0, 60, 0, 60), { type: 'FLOAT16', shape: [2] }),
          {
            ...constant('blocks', Uint8Array.of(0x21, 0x43), { type: 'INT4', shape: [4] }),
            quantization: {
              ...makeQuantization([], []),
              details: { kind: 'BlockwiseQuantization', scales: 8, zeroPoints: -1, blockSize: 2 },
            },
          },
          {
            ...value('variant', [], 'VARIANT'),
            variantTensors: [{ shape: [2], type: 'FLOAT32', hasRank: true }],
          },
          { ...value('state', [1, 4]), isVariable: true, shapeSignature: [-1, 4] },
          value('out'),
        ],
        inputs: [0, 1],
        outputs: [12],
        operators: [
          { ...add(0, 2, 4), version: 2 },
          makeOperator({
            op: 'IF',
            inputs: [1, 4],
            outputs: [5],
            options: { kind: 'IfOptions', thenSubgraphIndex: 1, elseSubgraphIndex: 2 },
          }),
          makeOperator({
            op: 'CUSTOM',
            customCode: 'Magic',
            inputs: [5, -1, 11],
            outputs: [12],
            intermediates: [10],
            mutatingVariableInputs: [false, false, true],
            customOptions: Uint8Array.of(1, 2, 3),
          }),
        ],
      },
      {
        name: 'then',
        tensors: [value('t'), value('u')],
        inputs: [0],
        outputs: [1],
        operators: [makeOperator({ op: 'RELU', inputs: [0], outputs: [1] })],
      },
      {
        name: 'else',
        tensors: [value('t'), value('u')],
        inputs: [0],
        outputs: [1],
        operators: [
          makeOperator({
            op: 'GELU',
            inputs: [0],
            outputs: [1],
            options: { kind: 'GeluOptions', approximate: true },
          }),
        ],
      },
    ],
    {
      description: 'made by hand',
      signatures: [
        {
          key: 'serving_default',
          subgraph: 0,
          inputs: [{ name: 'x', tensor: 0 }],
          outputs: [{ name: 'out', tensor: 12 }],
          deprecatedTag: undefined,
        },
      ],
      metadata: [{ name: 'min_runtime_version', data: Buffer.from('1.14.0\0\0') }],
      metadataBuffers: [shared],
      externalBufferGroups: [{ name: 'weights.bin' }],
      externalBuffers: [{ id: 1, group: 0, offset: 64, length: 16, packing: 'none' }],
      unusedBuffers: [Uint8Array.of(9, 9)],
      tail: { bytes: labels, offset: 0 },
    },
  );
}
