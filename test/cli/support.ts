import type { CliContext } from '../../agent/cli/context.ts';
import { runCli } from '../../agent/cli/program.ts';
import { mqttReporting } from '../../agent/cli/reporting.ts';
import type { BenchReport } from '../../agent/contracts/bench.ts';
import type { InspectReport } from '../../agent/contracts/inspect.ts';
import type { QuantizeReport } from '../../agent/contracts/quantize.ts';
import type {
  BenchRequest,
  Hooks,
  InspectRequest,
  ModelFiles,
  QuantizeRequest,
} from '../../agent/fit/types.ts';
import { inspectReport } from '../fit/inspect-fixture.ts';
import { report } from '../fit/report-fixture.ts';

export const quantizeReport: QuantizeReport = {
  schema: 'edgefit/quantize/1',
  output: 'small.onnx',
  scheme: 'int8-static u8/s8 per channel',
  bytes: 486_000,
  floatBytes: 1_876_802,
  seconds: 1.234,
  peakRssBytes: 210_000_000,
  integerCoverage: 0.9876,
  sqnrDb: 28.46,
  ops: { integer: 27, fp16: 0, float: 3 },
  left: [
    { node: 'a', op: 'Softmax', reason: 'no integer kernel' },
    { node: 'b', op: 'Softmax', reason: 'no integer kernel' },
    { node: 'c', op: 'Sub', reason: 'slower in integers' },
  ],
};

/** What a command line did. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly benched: readonly BenchRequest[];
  readonly quantized: readonly QuantizeRequest[];
  readonly inspected: readonly InspectRequest[];
  readonly cleanups: number;
}

export interface Situation extends Partial<CliContext> {
  readonly report?: BenchReport;
  readonly inspection?: InspectReport;
  readonly files?: ReadonlyMap<string, ModelFiles>;
  readonly error?: Error;
  readonly during?: (hooks: Hooks) => void;
  readonly env?: Record<string, string>;
}

const demo: CliContext['demo'] = {
  onnx: 'demo/manifest.json',
  tflite: 'demo/manifest-tflite.json',
  runtimesHere: async () => ['onnxruntime', 'tflite'],
};

/** For looking at the command line as data: nothing is run. */
export function testContext(): CliContext {
  const silent = { write: () => true };
  const io = { stdout: silent, stderr: silent, env: {} };
  return {
    io,
    version: '1.2.3',
    signal: new AbortController().signal,
    demo,
    reporting: mqttReporting(io, '1.2.3'),
    loadFit: () => Promise.reject(new Error('not needed')),
  };
}

/** Runs a command line in this process against a service that answers at once. */
export async function run(args: readonly string[], situation: Situation = {}): Promise<Ran> {
  const written = { out: '', err: '' };
  const benched: BenchRequest[] = [];
  const quantized: QuantizeRequest[] = [];
  const inspected: InspectRequest[] = [];
  let cleanups = 0;
  const answer = (hooks: Hooks) => {
    hooks.progress({ phase: 'measuring', done: 1, total: 2 });
    situation.during?.(hooks);
    if (situation.error !== undefined) throw situation.error;
  };
  const code = await runCli(args, {
    io: {
      stdout: { write: (text) => (written.out += text) },
      stderr: { write: (text) => (written.err += text) },
      env: situation.env ?? {},
    },
    version: '1.2.3',
    signal: new AbortController().signal,
    demo,
    loadFit: async () => ({
      benchModel: async (request, hooks) => {
        benched.push(request);
        answer(hooks);
        return {
          report: situation.report ?? report,
          files: situation.files ?? new Map(),
          cleanup: async () => {
            cleanups += 1;
          },
        };
      },
      quantizeModel: async (request, hooks) => {
        quantized.push(request);
        answer(hooks);
        return quantizeReport;
      },
      inspectModel: async (request, hooks) => {
        inspected.push(request);
        answer(hooks);
        return situation.inspection ?? inspectReport;
      },
    }),
    ...situation,
  });
  return { code, ...written, benched, quantized, inspected, cleanups };
}
