import { chmodSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { agent, removeFolders } from './support/agent.ts';
import { refusal } from './support/expect.ts';
import { demoBytes, productModel, testFiles } from './support/files.ts';

afterAll(removeFolders);
const { folder, path, put } = testFiles();

const node = (changes: { op: string; domain?: string }) => [
  { name: 'product', inputs: ['x', 'w'], outputs: ['y'], ...changes },
];
const externalWeights = (file: string) =>
  productModel({ weights: [{ name: 'w', shape: [4, 4], data: { file } }] });
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
const TFLITE = Buffer.from('1c00000054464c330000000000000000', 'hex');

describe('what is no model', () => {
  test.each([
    ['a picture', put('a.png', PNG), 'a.png: this is an image: give its folder as --samples'],
    ['a text', put('text.onnx', 'hello world\n'), 'this is neither an ONNX nor a TFLite model'],
    [
      'a PyTorch file',
      put('net.pt', 'PK\u0003\u0004net/data.pkl'),
      'net.pt: this is a ZIP archive',
    ],
    [
      'a model that Git LFS keeps elsewhere',
      put('lfs.onnx', 'version https://git-lfs.github.com/spec/v1\n'),
      'git lfs pull',
    ],
    ['no name at all', '', "agent: argument 'model' is empty; see 'agent bench --help'"],
    ['an empty file', put('empty.onnx', ''), 'empty.onnx: the file is empty'],
    ['a device', '/dev/null', '/dev/null: it is neither a file nor a folder'],
    ['a folder', folder, 'it is a folder, not a file'],
    ['no file', path('none.onnx'), 'none.onnx: no such file or folder'],
    [
      'a TFLite model that was cut off',
      put('a.tflite', TFLITE),
      'a.tflite: cut off: 4 bytes wanted',
    ],
  ])('%s', async (_, model, says) => {
    expect(await agent(['bench', model])).toMatchObject(refusal(2, says));
  });

  const asRoot = process.getuid?.() === 0;
  (asRoot ? test.skip : test)('a file that may not be read', async () => {
    const model = put('secret.onnx', productModel());
    chmodSync(model, 0);
    expect(await agent(['bench', model])).toMatchObject(refusal(2, 'permission denied'));
  });
});

describe('a model that is cut short', () => {
  const whole = demoBytes();
  test.each([1, 10, 1000, 100_000, whole.length - 1])('after %d bytes', async (length) => {
    const model = put(`cut-${length}.onnx`, whole.subarray(0, length));
    const says = new RegExp(`cut-${length}.onnx: cut off: .* at byte \\d+`);
    expect(await agent(['bench', model])).toMatchObject(refusal(2, says));
  });
});

describe('a model that cannot run here', () => {
  put('short.bin', 'abc');
  test.each([
    ['a later opset', productModel({ opset: 99 }), 'opset 99 of ai.onnx is too new'],
    ['a later format', productModel({ irVersion: 99 }), 'IR version 99 is too new'],
    ['an unknown op', productModel({ nodes: node({ op: 'Nonsense' }) }), 'op Nonsense'],
    [
      'an op of another domain',
      productModel({ domains: { 'com.acme': 1 }, nodes: node({ op: 'Foo', domain: 'com.acme' }) }),
      "op Foo of domain 'com.acme' is unknown to onnxruntime",
    ],
    [
      'a domain that it does not import',
      productModel({ nodes: node({ op: 'Foo', domain: 'com.acme' }) }),
      "op Foo of domain 'com.acme' (node 'product')",
    ],
    ['weights that are missing', externalWeights('none.bin'), 'none.bin: no such file'],
    ['weights that are cut short', externalWeights('short.bin'), 'short.bin ends before byte 64'],
    [
      'nothing in it',
      productModel({ inputs: [], outputs: [], nodes: [], weights: [] }),
      'its graph is empty',
    ],
  ])('%s', async (title, bytes, says) => {
    const model = put(`${title.replaceAll(' ', '-')}.onnx`, bytes);
    expect(await agent(['bench', model])).toMatchObject(refusal(2, says));
    const output = path('never.onnx');
    const ran = await agent(['quantize', model, '--to', 'fp16', '-o', output]);
    expect(ran).toMatchObject(refusal(2, says));
  });
});

test('--debug tells where an error came from, and its cause', async () => {
  const ran = await agent(['bench', path('none.onnx'), '--debug']);
  expect(ran.code).toBe(2);
  expect(ran.said[0]).toMatch(/^agent: cannot read .*none.onnx: no such file or folder$/);
  expect(ran.err).toMatch(/\n {4}at .*\.js:\d+:\d+/);
  expect(ran.err).toContain('caused by: Error: ENOENT');
});
