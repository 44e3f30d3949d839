import { access } from 'node:fs/promises';
import type * as OrtModule from 'onnxruntime-node';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { elementTypes } from '../contracts/element-types.ts';
import { RuntimeFailure } from './errors.ts';
import { checkFeeds } from './feeds.ts';
import { missingFile } from './missing-file.ts';
import { loadFailure, runFailure } from './onnxruntime-errors.ts';
import type {
  Feeds,
  OpenOptions,
  Outputs,
  Runtime,
  Session,
  SessionDescription,
  Tensor,
  TensorData,
  TensorDescription,
  TensorType,
} from './types.ts';

type Ort = typeof OrtModule;

const LOG_FATAL_ONLY = 4;

/**
 * Loads the native library, so call it in a child process only. Official builds since 1.29 report
 * models and machines to their vendor, and keep an identifier on disk, unless this variable is set
 * before the library starts (microsoft/onnxruntime#27379). An agent on a device reports to nobody
 * but its owner.
 */
async function load(): Promise<Ort> {
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  const ort = await import('onnxruntime-node');
  ort.env.logLevel = 'fatal';
  return ort;
}

/** ONNX models on the CPU, by onnxruntime-node. */
export const onnxRuntime: Runtime = {
  name: 'onnxruntime',

  async version() {
    const ort = await load();
    return ort.env.versions.node ?? ort.env.versions.common;
  },

  async open(modelPath, options) {
    await access(modelPath).catch((error: unknown) => {
      throw missingFile(modelPath, error);
    });
    const ort = await load();
    let session;
    try {
      session = await ort.InferenceSession.create(modelPath, sessionOptions(options));
    } catch (error) {
      throw loadFailure(modelPath, error);
    }
    return wrap(ort, session, modelPath, options.profilePrefix !== undefined);
  },
};

function sessionOptions(options: OpenOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: options.optimization,
    enableCpuMemArena: options.arena,
    // A memory pattern is one block for the whole run: it belongs to the arena.
    enableMemPattern: options.arena,
    logSeverityLevel: LOG_FATAL_ONLY,
    ...(options.profilePrefix !== undefined && {
      enableProfiling: true,
      profileFilePrefix: options.profilePrefix,
    }),
    extra: { session: { disable_prepacking: options.prepack === false ? '1' : '0' } },
  };
}

function wrap(ort: Ort, session: InferenceSession, modelPath: string, profiled: boolean): Session {
  const description: SessionDescription = {
    inputs: session.inputMetadata.map((value) => describeValue(modelPath, value)),
    outputs: session.outputMetadata.map((value) => describeValue(modelPath, value)),
  };
  const convert = (feeds: Feeds): Record<string, OrtTensor> => {
    checkFeeds(description.inputs, feeds);
    return Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [name, toOrt(ort, tensor)]),
    );
  };
  const run = async (feeds: Record<string, OrtTensor>) => {
    try {
      return await session.run(feeds);
    } catch (error) {
      throw runFailure(modelPath, error);
    }
  };
  return {
    describe: () => description,
    run: async (feeds) => fromOrt(modelPath, await run(convert(feeds))),
    prepare(feeds) {
      const prepared = convert(feeds);
      return () => run(prepared);
    },
    async close() {
      if (profiled) session.endProfiling();
      await session.release();
    },
  };
}

function describeValue(
  modelPath: string,
  value: InferenceSession.ValueMetadata,
): TensorDescription {
  if (!value.isTensor) {
    throw new RuntimeFailure(
      'UNSUPPORTED',
      `cannot load ${modelPath}: '${value.name}' is a sequence or a map, and only tensors can be fed and compared`,
    );
  }
  const shape = value.shape.map((size) => (size === '' ? null : size));
  return { name: value.name, dtype: tensorType(modelPath, value.name, value.type), shape };
}

const TYPES: ReadonlySet<string> = new Set<TensorType>([...elementTypes, 'string']);

function isTensorType(type: string): type is TensorType {
  return TYPES.has(type);
}

function tensorType(modelPath: string, name: string, type: string): TensorType {
  if (isTensorType(type)) return type;
  throw new RuntimeFailure(
    'UNSUPPORTED',
    `cannot load ${modelPath}: '${name}' has the element type ${type}, which cannot be fed or compared`,
  );
}

function toOrt(ort: Ort, { dtype, data, shape }: Tensor): OrtTensor {
  // The constructor is typed by one overload per element type; checkFeeds has checked the pair.
  const create = ort.Tensor as new (
    type: string,
    data: TensorData,
    dims: readonly number[],
  ) => OrtTensor;
  return new create(dtype, data, shape);
}

function fromOrt(modelPath: string, outputs: InferenceSession.OnnxValueMapType): Outputs {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { type, dims, data }]) => {
      const dtype = tensorType(modelPath, name, type);
      return [name, { dtype, shape: dims, data: rawBits(type, data) }];
    }),
  );
}

/** Node 24 and later give float16 as a Float16Array; everywhere else it is raw bits. */
function rawBits(type: string, data: OrtTensor['data']): TensorData {
  if (type !== 'float16' || !ArrayBuffer.isView(data)) return data;
  return new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
}
