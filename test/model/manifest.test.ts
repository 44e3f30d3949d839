import { describe, expect, test } from '@jest/globals';
import { parseManifest } from '../../agent/model/manifest/parse.ts';
import { resolveManifest } from '../../agent/model/manifest/resolve.ts';

const image = { width: 4, height: 2 };
const base = { schema: 'edgefit/model/1', name: 'm', model: 'm.onnx' };
const parse = (more: object) => parseManifest(JSON.stringify({ ...base, ...more }), 'p/m.json');

describe('parseManifest', () => {
  test('fills in what may be left out', () => {
    const manifest = parse({ inputs: { x: { image }, y: { array: {} } } });
    expect(manifest.inputs).toEqual({
      x: {
        image: {
          ...image,
          color: 'rgb',
          layout: 'nchw',
          mean: [0],
          std: [1],
          resize: 'stretch',
        },
      },
      y: { array: {} },
    });
  });

  test('keeps fields that it does not know', () => {
    expect(parse({ licence: 'MIT' })).toMatchObject({ licence: 'MIT' });
  });

  test.each([
    [{ name: '' }, 'p/m.json: name: '],
    [{ schema: 'edgefit/model/2' }, 'p/m.json: schema: '],
    [{ model: 7 }, 'p/m.json: model: '],
    [{ inputs: { x: { image: { width: -1, height: 2 } } } }, 'p/m.json: inputs.x.image.width: '],
    [{ inputs: { x: { image: 5 } } }, 'p/m.json: inputs.x.image: '],
    [{ inputs: { x: {} } }, 'p/m.json: inputs.x: must hold exactly one of'],
    [
      { inputs: { x: { image, array: {} } } },
      'p/m.json: inputs.x: must hold exactly one of image, array, audio, constant',
    ],
    [
      { inputs: { x: { image: { ...image, std: [0] } } } },
      'p/m.json: inputs.x.image.std.0: must not be zero',
    ],
    [
      { inputs: { x: { image: { ...image, mean: [1, 2] } } } },
      'p/m.json: inputs.x.image.mean: must hold 1 or 3 numbers for color rgb',
    ],
    [
      { inputs: { x: { image: { ...image, color: 'gray', mean: [1, 2, 3] } } } },
      'p/m.json: inputs.x.image.mean: must hold 1 or 1 numbers for color gray',
    ],
    [
      { inputs: { x: { constant: { dtype: 'int64', shape: [2], data: [1] } } } },
      'p/m.json: inputs.x.constant.data: holds 1 values, but shape [2] needs 2',
    ],
    [
      { inputs: { x: { constant: { dtype: 'complex', shape: [], data: [1] } } } },
      'p/m.json: inputs.x.constant.dtype: ',
    ],
    [
      { samples: { calibration: { path: 'd', from: 5, to: 5 } } },
      'p/m.json: samples.calibration.to: must be more than "from"',
    ],
    [{ samples: { calibration: { path: '' } } }, 'p/m.json: samples.calibration.path: '],
  ])('names the field of %j', (more, message) => {
    expect(() => parse(more)).toThrow(message);
    expect(() => parse(more)).toThrow(
      expect.objectContaining({ name: 'ManifestError', code: 'invalid', kind: 'input' }),
    );
  });

  test('every message is one line', () => {
    expect(() => parse({ inputs: { x: { image: { ...image, color: 'cmyk' } } } })).toThrow(
      /^p\/m\.json: inputs\.x\.image\.color: .+$/,
    );
  });

  test('says that a file is not JSON', () => {
    expect(() => parseManifest('{"schema":', 'm.json')).toThrow('m.json: not JSON: ');
    expect(() => parseManifest('[]', 'm.json')).toThrow('m.json: ');
  });

  test('accepts a byte order mark', () => {
    expect(parseManifest(`\uFEFF${JSON.stringify(base)}`, 'm.json').name).toBe('m');
  });
});

describe('resolveManifest', () => {
  test('makes every path absolute against the folder of the manifest', () => {
    const manifest = parse({
      model: '../models/m.onnx',
      samples: { calibration: { path: 'data', to: 3 }, evaluation: { path: '/abs/x.npz' } },
      published: { int8: 'q.tflite' },
    });
    expect(resolveManifest(manifest, '/a/packages/m.json')).toMatchObject({
      model: '/a/models/m.onnx',
      samples: {
        calibration: { path: '/a/packages/data', to: 3 },
        evaluation: { path: '/abs/x.npz' },
      },
      published: { int8: '/a/packages/q.tflite' },
    });
  });

  test('adds nothing that was not there', () => {
    const manifest = parse({});
    expect(resolveManifest(manifest, '/a/m.json')).toEqual({ ...manifest, model: '/a/m.onnx' });
  });
});
