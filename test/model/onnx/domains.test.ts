import { expect, test } from '@jest/globals';
import { isDefaultDomain, makeNode } from '../../../agent/model/onnx/graph.ts';
import { openOnnx, withOpset, writeOnnx } from '../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { inferTypes } from '../../../agent/model/onnx/types.ts';
import { TARGET_OPSET, upgradeOpset } from '../../../agent/quantize/onnx/prepare/upgrade-opset.ts';
import { tinyModel } from '../../support/onnx-models.ts';

test.each([
  [undefined, true],
  ['', true],
  ['ai.onnx', true],
  ['ai.onnx.ml', false],
  ['com.microsoft', false],
])('%j holds the standard operators: %j', (domain, expected) => {
  expect(isDefaultDomain(domain)).toBe(expected);
});

/** A model that writes out the name of the default domain wherever it can. */
function spelledOut(opset: number): OnnxModel {
  const model = tinyModel({
    inputs: { x: [1, [2, 3]] },
    outputs: { y: [7] },
    nodes: [makeNode('ArgMax', ['x'], ['y'], { domain: 'ai.onnx' })],
    opset,
  });
  const opsetImport = [{ domain: 'ai.onnx', version: opset }];
  return openOnnx(Buffer.concat(writeOnnx({ ...model, proto: { ...model.proto, opsetImport } })));
}

test('its opset is found under either name', () => {
  expect(spelledOut(12).opset).toBe(12);
});

test('it is not imported a second time under the other name', () => {
  const model = spelledOut(12);
  expect(withOpset(model, '', 13)).toBe(model);
  const more = withOpset(model, 'com.microsoft', 1);
  expect(more.proto.opsetImport).toEqual([
    { domain: 'ai.onnx', version: 12 },
    { domain: 'com.microsoft', version: 1 },
  ]);
});

test('it is upgraded under either name', () => {
  const { opset, proto } = upgradeOpset(spelledOut(12));
  expect(opset).toBe(TARGET_OPSET);
  expect(proto.opsetImport).toEqual([{ domain: 'ai.onnx', version: TARGET_OPSET }]);
});

test('its ops have the types of the standard', () => {
  expect(inferTypes(spelledOut(13)).get('y')).toBe(7);
});
