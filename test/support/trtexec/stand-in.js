/*
 * Stands in for trtexec where there is no GPU: takes the options of its version and no others, writes
 * what that version writes, and exports files in its format. Latencies are made up by precision,
 * outputs are computed. Arguments: a JSON of settings (version, fail), then those of trtexec.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parserProblem, readEngine, runModel, writeEngine } from './engines.js';
import { asNumber, bannerNumber, optionsOf } from './versions.js';

const [, , settingsText = '{}', ...args] = process.argv;
/**
 * fail: build, memory, kill, hang, int8, load, export; log: a file to note the command line in; int8Ms:
 * latency in INT8; lastsSeconds: how long inferences really take while latency is measured.
 */
const settings = {
  version: '8.5.2',
  fail: '',
  device: 'Orin',
  int8Ms: 1.5,
  lastsSeconds: 0,
  ...JSON.parse(settingsText),
};
const { version, fail } = settings;
const at = asNumber(version);
const title = `TensorRT.trtexec [TensorRT ${bannerNumber(version)}] # trtexec ${args.join(' ')}`;
const say = (text) => process.stdout.write(`[11/26/2026-10:00:00] [I] ${text}\n`);
const complain = (text) => process.stdout.write(`[11/26/2026-10:00:00] [E] ${text}\n`);

if (settings.log !== undefined) appendFileSync(settings.log, `${args.join(' ')}\n`);
process.stdout.write(`&&&& RUNNING ${title}\n`);
const options = readOptions();
if (options.has('--help')) help();
else await main();

function readOptions() {
  const known = optionsOf(version);
  const found = new Map();
  for (const arg of args) {
    const [, name, value = ''] = /^([^=]+)=?(.*)$/s.exec(arg) ?? [];
    if (!known.has(name)) failWith(`Unknown option: ${name} ${value}`);
    found.set(name, value);
  }
  return found;
}

function help() {
  process.stdout.write('=== Model Options ===\n');
  for (const option of optionsOf(version)) process.stdout.write(`  ${option.padEnd(28)}...\n`);
}

function failWith(text, ...consequences) {
  complain(text);
  for (const one of consequences) complain(one);
  process.stdout.write(`&&&& FAILED ${title}\n`);
  process.exit(1);
}

async function main() {
  describeDevice();
  if (options.has('--onnx')) build();
  if (options.has('--onnx') && (options.has('--skipInference') || options.has('--buildOnly'))) {
    say('Skipped inference phase since --buildOnly is added.');
  } else await infer();
  process.stdout.write(`&&&& PASSED ${title}\n`);
}

function describeDevice() {
  say('=== Device Information ===');
  say(`Selected Device: ${settings.device}`);
  say('Compute Capability: 8.7');
  say(`TensorRT version: ${version}`);
}

function build() {
  if (fail === 'hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  if (fail === 'kill') process.kill(process.pid, 'SIGKILL');
  if (fail === 'int8' && options.has('--int8')) {
    process.stderr.write(
      "trtexec: builder.cpp:9: Assertion `builder->platformHasFastInt8()' failed.\n",
    );
    process.abort();
  }
  if (fail === 'memory') {
    failWith(
      '[TRT] Error[2]: [virtualMemoryBuffer.cpp::resizePhysical::145] Error Code 2: OutOfMemory (no further information)',
      'Cuda Runtime (out of memory)',
      'Engine could not be created from network',
    );
  }
  if (fail === 'build') {
    failWith(
      '[TRT] Error[10]: [optimizer.cpp::computeCosts::3728] Error Code 10: Internal Error (Could not find any implementation for node conv1 + relu1.)',
      'Engine could not be created from network',
      'Building engine failed',
      'Engine set up failed',
    );
  }
  const onnx = readFileSync(options.get('--onnx'));
  const problem = parserProblem(onnx, at);
  if (problem !== undefined)
    failWith(`[TRT] ${problem}`, 'Failed to parse onnx file', 'Parsing model failed');
  if (options.has('--useDLACore')) sayPlaced();
  const details = {
    version,
    fp16: options.has('--fp16'),
    int8: options.has('--int8'),
    dla: options.has('--useDLACore'),
    calibrated:
      options.has('--calib') && readFileSync(options.get('--calib'), 'utf8').startsWith('TRT-'),
    shapes: shapesIn(options.get('--optShapes') ?? ''),
  };
  say('Engine built in 12.5 sec.');
  if (options.has('--saveEngine')) writeEngine(options.get('--saveEngine'), details, onnx);
  if (options.has('--timingCacheFile')) appendFileSync(options.get('--timingCacheFile'), 'x');
}

function sayPlaced() {
  say('[TRT] ---------- Layers Running on DLA ----------');
  say('[TRT] [DlaLayer] {ForeignNode[conv1...relu1]}');
  say('[TRT] ---------- Layers Running on GPU ----------');
  say('[TRT] [GpuLayer] SHUFFLE: reshape');
}

async function infer() {
  if (fail === 'load')
    failWith(
      '[TRT] 6: The engine plan file is not compatible with this version of TensorRT, expecting library version 8.5.2.2 got 8.5.2.1, please rebuild.',
      'Engine deserialization failed',
    );
  const engine = readEngine(options.get('--loadEngine'));
  const { details } = engine;
  if (details.version !== version)
    failWith(
      `[TRT] 1: Serialization assertion stdVersionRead == serializationVersion failed.Version tag does not match`,
      'Engine set up failed',
    );
  say(`${at >= 806 ? 'Engine deserialized' : 'Engine loaded'} in 0.25 sec.`);
  const shapes = { ...details.shapes, ...shapesIn(options.get('--shapes') ?? '') };
  let ran;
  try {
    ran = await runModel(engine, readInputs(), shapes, at);
  } catch (error) {
    failWith(error.message);
  }
  for (const { name, dims } of ran.inputs)
    say(`Created input binding for ${name} with dimensions ${dims.join('x')}`);
  for (const { name, dims } of ran.outputs)
    say(`Created output binding for ${name} with dimensions ${dims.join('x')}`);
  const times = latencies(details);
  await pretend(times);
  report(times);
  if (fail !== 'export') exportFiles(times, details, ran.outputs);
}

/** What it says while it infers: first that it starts, and at the end how long that took. */
async function pretend(times) {
  say('Starting inference');
  const seconds = options.has('--exportTimes') ? settings.lastsSeconds : 0;
  if (seconds > 0) await sleep(seconds * 1000);
  say('Warmup completed 5 queries over 200 ms');
  say(`Timing trace has ${times.length} queries over ${seconds} s`);
}

/** 4 ms in float, 2.5 in FP16, 1.5 in INT8, twice that on the DLA; one in ten a little slower. */
function latencies({ fp16, int8, dla }) {
  const base = (int8 ? settings.int8Ms : fp16 ? 2.5 : 4) * (dla ? 2 : 1);
  const wanted = (Number(options.get('--duration')) * 1000) / base;
  const count = Math.min(200, Math.max(Number(options.get('--iterations') ?? 10), wanted));
  return Array.from({ length: Math.ceil(count) }, (_, i) => (i % 10 === 9 ? base * 1.2 : base));
}

function report(times) {
  const mean = times.reduce((a, b) => a + b, 0) / times.length;
  const list = at >= 805 ? [90, 95, 99] : [99];
  const shares = list.map((share) => `percentile(${share}%) = ${Math.max(...times)} ms`).join(', ');
  const gpu = times.map((ms) => ms - 0.2);
  say('=== Performance summary ===');
  say(`Throughput: ${1000 / mean} qps`);
  say(
    `Latency: min = ${Math.min(...times)} ms, max = ${Math.max(...times)} ms, mean = ${mean} ms, median = ${times[0]} ms, ${shares}`,
  );
  say(
    `GPU Compute Time: min = ${Math.min(...gpu)} ms, max = ${Math.max(...gpu)} ms, mean = ${mean - 0.2} ms, median = ${gpu[0]} ms, ${shares}`,
  );
}

function exportFiles(times, details, outputs) {
  const write = (option, text) => options.has(option) && writeFileSync(options.get(option), text);
  const entries = times.map((ms) => {
    const end = at < 805 ? `, "endToEndMs" : ${ms + 0.1}` : '';
    return `{ "startEnqMs" : 1.5, "endEnqMs" : 2, "h2dMs" : 0.1, "computeMs" : ${ms - 0.2}, "d2hMs" : 0.1, "latencyMs" : ${ms}${end} }`;
  });
  write('--exportTimes', `[\n  ${entries.join('\n, ')}\n]\n`);
  const median = at >= 804 ? ', "medianMs" : 0.5' : '';
  write(
    '--exportProfile',
    `[\n  { "count" : 20 }\n, { "name" : "conv1 + relu1", "timeMs" : 10, "averageMs" : 0.5${median}, "percentage" : 80 }\n, { "name" : "fc", "timeMs" : 2.5, "averageMs" : 0.125${median}, "percentage" : 20 }\n]\n`,
  );
  write('--exportLayerInfo', JSON.stringify(layerInfo(details)));
  write('--exportOutput', `[\n  ${outputs.map(outputText).join(', ')}\n]\n`);
}

/** Detailed information since 8.5; before that only names. */
function layerInfo({ int8 }) {
  if (at < 805) return { Layers: ['conv1 + relu1', 'fc'], Bindings: [] };
  const Type = int8 ? 'Int8' : 'Float';
  return {
    Layers: [
      {
        Name: 'conv1 + relu1',
        LayerType: 'CaskConvolution',
        Outputs: [{ Dimensions: [1, 8, 10, 10] }],
        Weights: { Type, Count: 72 },
      },
      {
        Name: 'fc',
        LayerType: 'CaskGemmConvolution',
        Outputs: [{ Dimensions: [1, 10, 1, 1] }],
        Weights: { Type: 'Half', Count: 800 },
      },
    ],
    Bindings: [],
  };
}

/** As C++ prints: six digits, and no JSON where a value is not finite. */
function outputText({ name, dims, values }) {
  const text = values.map((value) =>
    Number.isFinite(value)
      ? Number(value.toPrecision(6))
      : String(value).toLowerCase().replace('infinity', 'inf'),
  );
  return `{ "name" : "${name}"\n  , "dimensions" : "${dims.join('x')}"\n  , "values" : [ ${text.join(', ')} ]\n  }`;
}

function shapesIn(text) {
  return Object.fromEntries(
    pairsIn(text).map(([name, value]) => [name, value.split('x').map(Number)]),
  );
}

function readInputs() {
  return Object.fromEntries(
    pairsIn(options.get('--loadInputs') ?? '').map(([name, file]) => [name, readFileSync(file)]),
  );
}

/** `name:value,'a:name':value` */
function pairsIn(text) {
  return [...text.matchAll(/(?:'([^']*)'|([^,:']+)):([^,]*)(?:,|$)/g)].map(
    ([, quoted, plain, value]) => [quoted ?? plain, value],
  );
}
