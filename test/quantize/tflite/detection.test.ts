import { expect, test } from '@jest/globals';
import { makeOperator } from '../../../agent/model/tflite/types.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { flexMap } from '../../support/flex-map.ts';
import { value } from '../../support/tflite-models.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { INT16, STATIC, observe, runAll, tensorNamed } from './support.ts';

const POST = 'TFLite_Detection_PostProcess';
const [PLACES, CLASSES, FOUND] = [16, 2, 4];

/** Of the detector's last operator, which takes boxes and scores apart. */
const OPTIONS = flexMap(
  { max_detections: FOUND, max_classes_per_detection: 1, num_classes: CLASSES },
  {
    nms_score_threshold: 0.01,
    nms_iou_threshold: 0.6,
    y_scale: 10,
    x_scale: 10,
    h_scale: 5,
    w_scale: 5,
  },
);

/** A body with heads for boxes and for scores, as SSD detectors end. */
function detector() {
  const g = new GraphBuilder(11);
  const body = g.conv('body', g.input('x', [1, 4, 4, 3]), 8, { activation: 'RELU6' });
  const boxes = g.reshape('boxes', g.conv('box_head', body, 4), [1, PLACES, 4]);
  const heads = g.conv('class_head', body, CLASSES + 1);
  const scores = g.unary('LOGISTIC', 'scores', g.reshape('rows', heads, [1, PLACES, CLASSES + 1]));
  const centres = Array.from({ length: PLACES }, (_, at) => [
    (Math.floor(at / 4) + 0.5) / 4,
    ((at % 4) + 0.5) / 4,
    0.2,
    0.2,
  ]);
  const anchors = g.floats('anchors', centres.flat(), [PLACES, 4]);
  const outputs = [
    value('places', [1, FOUND, 4]),
    value('classes', [1, FOUND]),
    value('probabilities', [1, FOUND]),
    value('count', [1]),
  ].map((one) => g.add(one));
  g.operators.push(
    makeOperator({
      op: 'CUSTOM',
      customCode: POST,
      customOptions: OPTIONS,
      inputs: [boxes, scores, anchors],
      outputs,
    }),
  );
  return { g, model: g.model(outputs) };
}

test.each([
  ['8', STATIC, 25],
  ['16', INT16, 35],
] as const)(
  '%s-bit activations up to the detections, which stay float',
  async (_, scheme, least) => {
    const { g, model } = detector();
    const samples = g.samples(4);
    const { model: made, ops } = quantizeStatic(model, await observe(model, samples), scheme);
    const float = ops.filter(({ precision }) => precision === 'float');
    // The sigmoid in front of them is little work and more exact in float, too.
    expect(float.map(({ op }) => op)).toEqual(['LOGISTIC', POST]);
    expect(float[1]?.reason).toBe(`TensorFlow Lite has no integer kernel for ${POST}`);
    // As it was: its anchors are no weights.
    expect(tensorNamed(made, 'anchors')).toEqual(tensorNamed(model, 'anchors'));
    const [reference, outputs] = [await runAll(model, samples), await runAll(made, samples)];
    const all = (runs: typeof outputs) =>
      Float32Array.from(runs.flatMap((one) => [...floats(one['probabilities']!.data)]));
    expect(all(reference).every((score) => score > 0.01)).toBe(true);
    expect(sqnr(all(reference), all(outputs))).toBeGreaterThan(least);
  },
);

test('integers only: the refusal names it', async () => {
  const { g, model } = detector();
  const seen = await observe(model, g.samples(1));
  expect(() => quantizeStatic(model, seen, { ...STATIC, integerOnly: true })).toThrow(
    new RegExp(`^1 of \\d+ operations cannot run in integers: ${POST} `),
  );
});
