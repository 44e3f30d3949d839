import { expect, test } from '@jest/globals';
import type { ExternalRange } from '../../../agent/model/onnx/open.ts';
import { openOnnx, writeOnnx } from '../../../agent/model/onnx/open.ts';
import { makeNode, subgraphsOf } from '../../../agent/model/onnx/graph.ts';
import { DataType, tensorNumbers } from '../../../agent/model/onnx/tensor.ts';
import { tinyBytes, tinyGraph } from '../../support/onnx-models.ts';

function external(name: string, entries: Readonly<Record<string, string>>, dims = [2]) {
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
  return { name, dims, dataType: DataType.FLOAT, stringData: [], externalData, dataLocation: 1 };
}

const withWeight = (entries: Readonly<Record<string, string>>, dims?: number[]) =>
  tinyBytes({ outputs: {}, nodes: [], initializers: [external('w', entries, dims)] });

/** Two files beside the model. */
const FILES = new Map([
  ['data/weights.bin', new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)],
  ['other.bin', new Uint8Array(Float32Array.of(5, 6).buffer)],
]);

function read({ location, offset, length }: ExternalRange): Uint8Array {
  const file = FILES.get(location);
  if (file === undefined) throw new Error('ENOENT: no such file');
  return file.subarray(offset, offset + length);
}

test('tensors are fetched by place, offset and length, in bodies and attributes too', () => {
  const body = tinyGraph({
    outputs: { b: [DataType.FLOAT] },
    initializers: [external('v', { location: 'other.bin' })],
    nodes: [makeNode('Identity', ['v'], ['b'])],
  });
  const bytes = tinyBytes({
    inputs: { flag: [DataType.BOOL, []] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [external('w', { location: 'data/weights.bin', offset: '8', length: '8' })],
    nodes: [
      makeNode('If', ['flag'], ['y'], { attributes: { then_branch: body, else_branch: body } }),
      makeNode('Constant', [], ['c'], {
        attributes: { value: external('k', { location: 'data/weights.bin', offset: '4' }) },
      }),
    ],
  });
  const { graph } = openOnnx(bytes, read);
  const [branch, constant] = graph.node;
  const inBody = branch && subgraphsOf(branch)[0]?.initializer[0];
  const tensors = [graph.initializer[0], inBody, constant?.attribute[0]?.t];
  expect(tensors.map((tensor) => tensor && tensorNumbers(tensor))).toEqual([
    [3, 4],
    [5, 6],
    [2, 3],
  ]);
});

test('a model with fetched tensors is written in one piece', () => {
  const model = openOnnx(withWeight({ location: 'other.bin' }), read);
  const again = openOnnx(Buffer.concat(writeOnnx(model)));
  expect(again.graph.initializer.map(tensorNumbers)).toEqual([[5, 6]]);
});

test.each([
  ['a missing file', { location: 'gone.bin' }, /'w' in gone\.bin: ENOENT/],
  ['a file that ends early', { location: 'other.bin', offset: '4' }, /4 of 8 bytes at 4/],
  ['a length that is not the tensor', { location: 'other.bin', length: '4' }, /length 4, need 8/],
  ['a negative offset', { location: 'other.bin', offset: '-4' }, /offset -4/],
  ['an offset that is no number', { location: 'other.bin', offset: '0x4' }, /offset 0x4/],
  ['an offset beyond 2^53', { location: 'other.bin', offset: '9'.repeat(17) }, /offset 9999/],
  ['no location', { offset: '0' }, /points outside the model's folder: ''/],
  ['a path upwards', { location: '../secret' }, /outside/],
  ['a path upwards inside', { location: 'a/../../secret' }, /outside/],
  ['a path upwards with backslashes', { location: 'a\\..\\..\\secret' }, /outside/],
  ['an absolute path', { location: '/etc/passwd' }, /outside/],
  ['a drive', { location: 'C:secret' }, /outside/],
  ['a network share', { location: '\\\\host\\secret' }, /outside/],
  ['a zero byte', { location: 'other.bin\0.png' }, /outside/],
])('%s is refused by name', (_, entries, message) => {
  expect(() => openOnnx(withWeight(entries), read)).toThrow(message);
  expect(() => openOnnx(withWeight(entries), read)).toThrow(
    expect.objectContaining({ name: 'ModelError', code: 'EXTERNAL_DATA' }),
  );
});

test('a negative shape is refused before anything is read', () => {
  const bytes = withWeight({ location: 'other.bin' }, [-1, -2]);
  expect(() => openOnnx(bytes, read)).toThrow(/tensor 'w' .*no such shape/);
});

test('without a reader the model must be whole', () => {
  expect(() => openOnnx(withWeight({ location: 'other.bin' }))).toThrow(
    /other\.bin is not at hand/,
  );
});
