import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { quantizeSchema } from '../../agent/contracts/quantize.ts';
import { makeStandIn, type StandIn } from '../support/trtexec.ts';
import { agent, makeFolder, removeFolders, startAgent } from './support/agent.ts';
import { DONE, refusal, tooWide } from './support/expect.ts';
import { productModel, productSamples, testFiles } from './support/files.ts';

afterAll(removeFolders);
const LIMIT_MS = 90_000;

const { put, path } = testFiles();
const MODEL = put('model.onnx', productModel());
const SAMPLES = put(
  'samples.npy',
  productSamples(8, (value) => value),
);
const BENCH = ['bench', MODEL, '--samples', SAMPLES, '--runtime', 'tensorrt', '--min-time', '0.02'];

let standIn: StandIn;
const env = () => ({ EDGEFIT_TRTEXEC: standIn.path, EDGEFIT_ENGINES: makeFolder() });

beforeEach(async () => {
  standIn = await makeStandIn({ version: '10.3.0' });
});
afterEach(() => standIn.remove());

test(
  'a report that satisfies the contract, with what was built',
  async () => {
    const ran = await agent([...BENCH, '--precision', 'fp16', '--json'], { env: env() });
    expect(ran).toMatchObject(DONE);
    const report = benchSchema.parse(JSON.parse(ran.out));
    expect(report.chosen).toBe('tensorrt/fp16/t1');
    expect(report.candidates[1]).toMatchObject({
      runtime: 'tensorrt',
      engine: { tensorrt: '10.3.0', gpu: 'Orin', buildSeconds: 12.5, cached: false },
      verdict: 'chosen',
    });
  },
  LIMIT_MS,
);

test(
  'a table of 80 columns that names the engines',
  async () => {
    const ran = await agent([...BENCH, '--as-is'], { env: env() });
    expect(ran).toMatchObject(DONE);
    expect(tooWide(ran, MODEL, SAMPLES)).toEqual([]);
    expect(ran.out).toMatch(/^Engines +fp32: TensorRT 10\.3\.0 on Orin, .*built in 12\.5 s$/m);
    expect(ran.out).toContain('Chosen: #1 tensorrt/fp32/t1');
  },
  LIMIT_MS,
);

test(
  'Ctrl-C while an engine is being built leaves nothing behind',
  async () => {
    await standIn.become({ fail: 'hang' });
    const running = startAgent(BENCH, { env: env() });
    await running.until(/^agent: building/m);
    await running.childNamed(/--saveEngine/);
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject(refusal(1, /^agent: interrupted$/));
  },
  LIMIT_MS,
);

test(
  'a machine without a GPU says so, and what can be done',
  async () => {
    const ran = await agent(BENCH);
    expect(ran).toMatchObject(refusal(2, 'name its trtexec in EDGEFIT_TRTEXEC'));
  },
  LIMIT_MS,
);

test(
  'quantize --format tensorrt writes the form that TensorRT takes',
  async () => {
    const output = path('q.onnx');
    const rest = ['--samples', SAMPLES, '--format', 'tensorrt', '-o', output, '--json'];
    const ran = await agent(['quantize', MODEL, '--to', 'int8-static', ...rest]);
    expect(ran).toMatchObject(DONE);
    expect(quantizeSchema.parse(JSON.parse(ran.out))).toMatchObject({
      ops: { integer: 1, fp16: 0, float: 0 },
      integerCoverage: 1,
    });
    // Of TensorRT 8 on, its parser refuses every other form.
    await standIn.become({ version: '8.5.2' });
    const built = await agent(
      ['bench', output, '--samples', SAMPLES, '--runtime', 'tensorrt', '--as-is', '--json'],
      { env: env() },
    );
    expect(benchSchema.parse(JSON.parse(built.out)).chosen).toBe('tensorrt/int8/t1');
  },
  LIMIT_MS,
);
