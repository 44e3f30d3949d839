import { expect, test } from '@jest/globals';
import { inspectSchema } from '../../agent/contracts/inspect.ts';
import { comparisonOf, inspectReport, layer } from '../fit/inspect-fixture.ts';
import { run } from './support.ts';

test('one model: what is in it', async () => {
  const ran = await run(['inspect', 'tiny.onnx']);
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.out.split('\n')).toEqual([
    'Model       tiny (tiny.onnx)',
    'Format      onnx ir 8, opset ai.onnx 17, by pytorch 2.4',
    'Size        4.00 kB',
    'Precision   fp32',
    'Integer     0.0% of the multiply-accumulates',
    'Inputs      x float32[1,height,?]',
    'Outputs     y float32[...]',
    'Parameters  750 float32, 3.00 kB',
    '',
    'op    nodes  parameters    bytes',
    'Conv      2         750  3.00 kB',
    'Relu      2',
    '',
    'heaviest layers  op      bytes  of file',
    'second           Conv  2.00 kB      50%',
    'first            Conv  1.00 kB      25%',
    '',
  ]);
  expect(ran.inspected).toEqual([
    {
      modelPath: 'tiny.onnx',
      quantizedPath: undefined,
      samples: { path: undefined, command: undefined },
      image: {},
      audio: undefined,
      limit: 16,
      chart: undefined,
    },
  ]);
});

const layers = [
  layer('a', { sqnrDb: 40, ownSqnrDb: 40 }),
  layer('b', { op: 'Relu', integer: false, sqnrDb: 20, ownSqnrDb: null, inputSqnrDb: 40 }),
  layer('c', { sqnrDb: null, maxAbsError: 0, ownSqnrDb: 12 }),
];

test('two models: the error of each layer', async () => {
  const inspection = comparisonOf(layers);
  const line = 'inspect tiny.onnx small.onnx --samples d.npz --limit 4 -o e.svg --mean 1,2,3';
  const ran = await run(line.split(' '), { inspection });
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.out.split('\n').slice(6)).toEqual([
    '',
    '#  layer   op    in      SQNR    own  largest  0 to 40',
    '                           dB     dB    error  dB',
    '1  node-a  Conv  int     40.0   40.0    0.125  ##########',
    '2  node-b  Relu  float   20.0  exact    0.125  #####',
    '3  node-c  Conv  int    exact   12.0        0  ##########',
    '',
    'Most error is added by: node-a (Conv, 40.0 dB).',
    'SQNR falls most in: node-b (40.0 dB to 20.0 dB).',
    '',
    'Not compared:',
    '  norm (BatchNormalization): not in the quantized model',
    '',
  ]);
  expect(ran.inspected).toMatchObject([
    { quantizedPath: 'small.onnx', samples: { path: 'd.npz' }, limit: 4, chart: 'e.svg' },
  ]);
  expect(ran.inspected[0]?.image).toEqual({ mean: [1, 2, 3] });
});

test('--top shows the layers that add most, in the order of the graph', async () => {
  const inspection = comparisonOf(layers);
  const ran = await run(['inspect', 'a', 'b', '--top', '1'], { inspection });
  expect(ran.out.match(/^\d {2}node-\w/gm)).toEqual(['3  node-c']);
  const heavy = await run(['inspect', 'a', '--top', '1']);
  expect(heavy.out).toContain('second');
  expect(heavy.out).not.toContain('first');
});

test('names as long as they like: 80 columns, and none of their control characters', async () => {
  const node = `/encoder${'/deep'.repeat(40)}\u001b[31m/Conv`;
  const long = layers.map((one) => ({ ...one, node, op: 'com.microsoft.VeryLongOperator' }));
  for (const inspection of [
    comparisonOf(long),
    { ...inspectReport, model: { ...inspectReport.model, ops: [], layers: longLayers(node) } },
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- two runs
    const { out } = await run(['inspect', 'a', 'b'], { inspection });
    expect(out.split('\n').filter((text) => text.length > 80)).toEqual([]);
    expect(out).not.toContain('\u001b');
  }
});

function longLayers(node: string) {
  return [{ node, op: 'com.microsoft.VeryLongOperator', parameters: 1, parameterBytes: 4 }];
}

test('--json', async () => {
  const inspection = comparisonOf(layers);
  const ran = await run(['inspect', 'a', 'b', '--json'], { inspection });
  expect(inspectSchema.parse(JSON.parse(ran.out))).toEqual(inspection);
});

test.each([
  ['m.onnx --samples d.npz', '--samples compares two models'],
  ['m.onnx -o e.svg', '-o compares two models'],
  ['m.onnx q.onnx -o e.png', '-o e.png: charts are .svg or .html files'],
  ['m.onnx q.onnx --limit 0', 'a whole number from 1 up'],
  ['m.onnx --top 1.5', 'a whole number from 1 up'],
  ['m.onnx --observer mse', "unknown option '--observer'"],
  ['', "missing required argument 'model'"],
])('refused: %s', async (line, says) => {
  const ran = await run(['inspect', ...line.split(' ').filter((word) => word !== '')]);
  expect(ran).toMatchObject({ code: 2, out: '', inspected: [] });
  expect(ran.err).toContain(says);
  expect(ran.err.split('\n')).toHaveLength(2);
});
