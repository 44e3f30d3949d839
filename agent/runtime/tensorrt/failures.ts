import { RuntimeFailure, type RuntimeFailureCode } from '../errors.ts';

/*
 * trtexec reports everything as text and ends with the code 1 whatever went wrong, so its text is all
 * there is to go by. Where no pattern fits, its first error is passed on.
 */

type Explanation = readonly [
  pattern: RegExp,
  code: RuntimeFailureCode,
  say: (groups: readonly string[]) => string,
];

const KNOWN: readonly Explanation[] = [
  [
    /Unknown option: (--\S+)/,
    'UNSUPPORTED',
    ([option = '']) =>
      `this trtexec does not know ${option}: it is older or newer than its --help says`,
  ],
  [
    /Assertion `builder->platformHasFastInt8\(\)' failed|platform support int8: false/i,
    'UNSUPPORTED',
    () => 'this GPU has no INT8 arithmetic: use FP16',
  ],
  [
    /(?:No importer registered for op: |Unsupported operator |could not find plugin:? )(\w+)/,
    'UNSUPPORTED',
    ([op = '']) => `TensorRT has no operator ${op}: cut it off the model, or give its plugin`,
  ],
  [
    /(invalid weights type of Int8|only activation types allowed as input)/,
    'UNSUPPORTED',
    () => 'this TensorRT takes integers from float weights only: quantize with --format tensorrt',
  ],
  [
    /(only supports symmetric quantization|[Zz]ero ?[Pp]oint.* must be all zeros|shiftIsAllZeros)/,
    'UNSUPPORTED',
    () => 'TensorRT takes zero points of 0 only: quantize with --format tensorrt',
  ],
  [
    /(?:Cannot create DLA engine|DLA core (?:is )?not (?:available|supported)|(?:invalid|not a valid) DLA core)/i,
    'UNSUPPORTED',
    () => 'there is no DLA here that TensorRT can use',
  ],
  [
    /(?:plan file is not compatible|incompatible (?:device|version)|expecting (?:library )?version|Version tag does not match|Serialization assertion)/i,
    'INVALID_MODEL',
    () => 'the engine was built by another TensorRT or for another GPU: build it again here',
  ],
  [
    /(out of memory|std::bad_alloc|Cuda Runtime \(out of memory\)|NvMapMemAlloc(?:InternalTagged)? error)/i,
    'OUT_OF_MEMORY',
    () => 'memory ran out: CPU and GPU share it, so end other programs or allow less workspace',
  ],
  [
    /Could not find any implementation for node (.+?)(?:\.| due|\)|$)/,
    'UNSUPPORTED',
    ([node = '']) =>
      `no kernel fits for ${node.slice(0, 120)}: memory was too small for all of them, or the layer cannot run here`,
  ],
  [
    /(?:CUDA (?:initialization failure|driver version is insufficient)|no CUDA-capable device|Cuda failure)/i,
    'START_FAILED',
    () => 'CUDA does not start: is the driver loaded, and may this user use the GPU (group video)?',
  ],
  [
    /error while loading shared libraries: ([^:\s]+)/,
    'START_FAILED',
    ([library = '']) => `${library} is missing: apt install nvidia-jetpack`,
  ],
  [
    /(?:Failed to parse onnx file|failed to parse ONNX|Parsing model failed)/i,
    'UNSUPPORTED',
    () => 'TensorRT cannot read this ONNX file',
  ],
];

const LONGEST = 300;
/** Consequences of what was reported before them. */
const CONSEQUENCES =
  /^(?:Engine could not be created|Building engine failed|Failed to create engine|Engine set up failed|Parsing model failed|Network from model|Failed to parse onnx file)/i;

/**
 * The failure of a run, by what it wrote (standard output and error together).
 * @param doing for the message: `build an engine of model.onnx`
 */
export function explainFailure(
  doing: string,
  text: string,
  errors: readonly string[],
): RuntimeFailure {
  const first = errors.find((line) => !CONSEQUENCES.test(line)) ?? errors[0];
  for (const [pattern, code, say] of KNOWN) {
    const found = pattern.exec(text);
    if (found === null) continue;
    const why = say(found.slice(1));
    const said = code === 'UNSUPPORTED' && first !== undefined ? ` (${cut(first)})` : '';
    return new RuntimeFailure(code, `cannot ${doing}: ${why}${said}`, { stderr: tail(text) });
  }
  const why = first === undefined ? 'trtexec said nothing about why' : `trtexec: ${cut(first)}`;
  return new RuntimeFailure('RUN_FAILED', `cannot ${doing}: ${why}`, { stderr: tail(text) });
}

const cut = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text);
const tail = (text: string) => text.slice(-4096);
