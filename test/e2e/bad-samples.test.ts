import { mkdirSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { npy, npz } from '../calibration/make-arrays.ts';
import { agent, removeFolders, startAgent } from './support/agent.ts';
import { refusal } from './support/expect.ts';
import { DEMO_MODEL, productModel, productSamples, testFiles } from './support/files.ts';

afterAll(removeFolders);
const { path, put } = testFiles();
const model = put('model.onnx', productModel());
const pair = put(
  'pair.onnx',
  productModel({
    inputs: [
      { name: 'x', shape: [1, 4] },
      { name: 'z', shape: [1, 4] },
    ],
    nodes: [{ op: 'Add', inputs: ['x', 'z'], outputs: ['y'] }],
    weights: [],
  }),
);

mkdirSync(path('nothing'));
put('texts/readme.txt', 'hello');
put('pictures/a.jpg', 'no picture at all');
put('labelled/a.bin', new Uint8Array(16));
put('labelled/labels.csv', 'file,label\na.bin,1\nb.bin,2\n');

describe('samples that cannot be used', () => {
  test.each([
    ['a missing path', path('none'), 'cannot read samples from'],
    ['an empty folder', path('nothing'), 'nothing: holds no samples'],
    ['a folder of texts', path('texts'), 'texts: holds no samples'],
    ['a text', put('a.txt', 'hello'), 'a.txt: holds no samples'],
    ['pictures for an input that takes none', path('pictures'), '--image-size WxH'],
    ['a label for a missing file', path('labelled'), 'labels.csv: names b.bin, but there is no'],
    [
      'another shape',
      put('shape.npy', npy('<f4', [10, 5], new Float32Array(50))),
      'shape.npy: expected [1, 4] for input x, got [1, 5]',
    ],
    ['text in an array', put('text.npy', npy('<U1', [9, 4], new Uint8Array(144))), 'dtype <U1'],
    [
      'not a number in the sample that is timed',
      put(
        'nan.npy',
        productSamples(10, (value, at) => (at === 21 ? NaN : value)),
      ),
      'nan.npy[5]: value 1 is not a finite number',
    ],
    [
      'a cut array',
      put('cut.npy', productSamples(10, (value) => value).subarray(0, 200)),
      'truncated',
    ],
    [
      'a cut archive',
      put('cut.npz', npz({ x: productSamples(4, Math.abs) }).subarray(0, 90)),
      'cut.npz',
    ],
  ])('%s', async (_, samples, says) => {
    expect(await agent(['bench', model, '--samples', samples])).toMatchObject(refusal(2, says));
  });

  test('a picture that is none', async () => {
    const ran = await agent(['bench', DEMO_MODEL, '--samples', path('pictures')]);
    expect(ran).toMatchObject(refusal(2, 'a.jpg: cannot be read as an image'));
  });

  test('an archive without the array of an input', async () => {
    const samples = put('half.npz', npz({ x: productSamples(9, Math.abs) }));
    const ran = await agent(['bench', pair, '--samples', samples]);
    expect(ran).toMatchObject(refusal(2, 'half.npz: no array for input z (there: x)'));
  });

  test('none at all, for a scheme that needs them, and a limit that needs labels', async () => {
    const output = path('never.onnx');
    const ran = await agent(['quantize', model, '--to', 'int8-static', '-o', output]);
    expect(ran).toMatchObject(refusal(2, 'static INT8 needs calibration samples'));
    const other = await agent(['bench', model, '--max-accuracy-drop', '1']);
    expect(other).toMatchObject(refusal(2, '--max-accuracy-drop needs labelled samples'));
  });
});

describe('a command that brings no samples', () => {
  test.each([
    ['fails', 'echo the camera is gone >&2; exit 3', 'exit code 3: the camera is gone'],
    ['does not exist', 'no-such-program-here', 'exit code 127'],
    ['writes something else', 'echo garbage', 'command echo garbage: truncated'],
    ['writes nothing', 'true', 'there are no samples from the command true'],
  ])('%s', async (_, command, says) => {
    const ran = await agent(['bench', model, '--samples-command', command]);
    expect(ran).toMatchObject(refusal(2, says));
  });

  test('one that hangs ends with the agent', async () => {
    const running = startAgent(['bench', model, '--samples-command', 'sleep 1000']);
    await running.childNamed(/sleep 1000/);
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject(refusal(1, /^agent: interrupted$/));
  });
});
