import { z } from 'zod';
import { acceleratorKinds, factsSchema, precisions, runtimeNames } from './facts.ts';

export const methods = ['none', 'fp16', 'dynamic', 'static', 'weight-only', 'qat'] as const;

export const latencySchema = z
  .object({
    p50: z.number(),
    p90: z.number(),
    p99: z.number(),
    mean: z.number(),
    min: z.number(),
    count: z.number().int(),
  })
  .describe('milliseconds of one inference, batch 1');

export const fidelitySchema = z
  .object({
    sqnrDb: z.number().nullable().describe('null when identical to the float model'),
    cosine: z.number(),
    top1Agreement: z.number(),
    samples: z.number().int(),
  })
  .describe('against the float model on the same runtime, all outputs, all evaluation samples');

export const rowVariantSchema = z
  .object({
    path: z.string().describe('as the manifest names it'),
    accelerator: z
      .object({ kind: z.enum(acceleratorKinds), device: z.string().nullable() })
      .optional()
      .describe('what ran it; the CPU where absent'),
    delegate: z.string().optional().describe('the library that an application must load'),
    ops: z
      .object({ accelerator: z.number().int().nullable(), cpu: z.number().int() })
      .optional()
      .describe('operators on the accelerator (null: the file does not tell) and on the CPU'),
  })
  .describe('a file that came with the package');

export const candidateSchema = z.object({
  id: z.string().describe('runtime/precision-method/tTHREADS'),
  precision: z.enum(precisions),
  method: z.enum(methods),
  runtime: z.enum(runtimeNames),
  threads: z.number().int().positive(),
  bytes: z.number().int().nullable(),
  latencyMs: latencySchema.nullable().describe('null when it could not be measured'),
  throughputPerSecond: z.number().nullable(),
  loadMs: z.number().nullable(),
  peakRssBytes: z.number().nullable(),
  ownOverheadMs: z.number().nullable().describe('time in our own code per inference'),
  integerCoverage: z
    .number()
    .nullable()
    .describe('share of multiply-accumulates that ran in integer kernels'),
  fidelity: fidelitySchema.nullable(),
  accuracy: z
    .object({
      metric: z.string(),
      value: z.number(),
      drop: z.number(),
      samples: z.number().int().optional().describe('labelled samples it rests on'),
    })
    .nullable()
    .describe('task metric on labelled samples; drop = float minus this, same unit'),
  heat: z
    .object({
      beforeCelsius: z.number().nullable(),
      afterCelsius: z.number().nullable(),
      beforeHz: z.number().nullable(),
      afterHz: z.number().nullable(),
      maxCelsius: z.number().optional().describe('the highest seen while it was measured'),
      zone: z.string().optional().describe('where that was'),
    })
    .nullable()
    .describe('of the hottest zone that the computation heats, and the fastest core'),
  throttled: z
    .object({
      reasons: z.array(z.string()),
      turns: z.number().int().describe('turns in the figures above that were slowed down'),
      repeatedTurns: z.number().int().describe('turns that were taken again after cooling'),
      waitedSeconds: z.number(),
    })
    .optional()
    .describe('the machine was slowed down while it was measured; absent when nothing says so'),
  clocks: z
    .object({
      cpuMeanHz: z.number().nullable().describe('of the fastest core'),
      cpuMinHz: z.number().nullable(),
      gpuMeanHz: z.number().nullable(),
      gpuLoadShare: z.number().nullable().describe('0 to 1'),
    })
    .optional()
    .describe('while it was measured'),
  power: z
    .object({
      meanMilliwatts: z.number().describe('while inferences ran'),
      idleMilliwatts: z.number().nullable().describe('before the first model was loaded'),
      source: z.string().describe('the meter and its rails'),
      readings: z.number().int().describe('how many readings it rests on'),
    })
    .optional(),
  energyPerInferenceMillijoules: z
    .number()
    .optional()
    .describe('power over the measured turns by inferences; what the machine draws idle is in it'),
  engine: z
    .object({
      tensorrt: z.string().nullable().describe('version of TensorRT'),
      gpu: z.string().nullable(),
      bytes: z.number().int().describe('the engine; it runs on this device and version only'),
      buildSeconds: z.number().describe('when it was built, perhaps by an earlier run'),
      cached: z.boolean().describe('built by an earlier run'),
      gpuMs: z.number().nullable().describe('median of the GPU alone, without copies'),
      coverageFrom: z
        .enum(['engine', 'model'])
        .nullable()
        .describe('whether integerCoverage is what the engine says of its layers, or the model'),
      dlaLayers: z.number().int().optional().describe('layers that the builder gave to the DLA'),
      gpuLayers: z.number().int().optional(),
      slowestLayers: z
        .array(z.object({ name: z.string(), ms: z.number() }))
        .describe('mean times, under the profiler'),
    })
    .optional()
    .describe('tensorrt only'),
  variant: rowVariantSchema.optional(),
  why: z.string().describe('why it was worth trying here'),
  verdict: z.enum(['chosen', 'rejected', 'failed']),
  reason: z.string(),
});

export const conditionsSchema = z
  .object({
    governor: z.string().nullable(),
    powerMode: z.string().nullable().describe('name of the power mode of a Jetson'),
    clocksLocked: z.boolean().nullable().describe('held at one frequency, as jetson_clocks does'),
    powerSource: z.string().nullable(),
    noPower: z.string().nullable().describe('why there is no power source'),
    sampleEveryMs: z.number(),
    coolDownSeconds: z.number().nullable().describe('the longest wait; null: none'),
    waitedSeconds: z.number().describe('all waits for the machine to cool'),
  })
  .describe('what the figures depend on beside the model and the machine');

export const benchSchema = z.object({
  schema: z.literal('edgefit/bench/1'),
  startedAt: z.string(),
  agent: z.string().describe('version of the agent'),
  device: factsSchema,
  model: z.object({
    name: z.string(),
    sha256: z.string(),
    format: z.enum(['onnx', 'tflite']),
    bytes: z.number().int(),
  }),
  samples: z.object({
    calibration: z.number().int(),
    evaluation: z.number().int(),
    labelled: z.boolean(),
    source: z.string(),
    recorded: z
      .object({
        samples: z.number().int().nonnegative(),
        used: z.boolean(),
        why: z.string().nullable().describe('they were not used'),
      })
      .optional()
      .describe('inputs of the application that this device has kept, where they were asked for'),
  }),
  objective: z.object({
    optimize: z.enum(['latency', 'size', 'memory']),
    maxAccuracyDrop: z.number().nullable().describe('in points of the task metric (1 = 0.01)'),
    minSqnrDb: z.number().nullable(),
    maxP90Ms: z.number().nullable().optional(),
    maxRssBytes: z.number().nullable().optional(),
    gates: z.array(z.string()).optional().describe('limits that the package set'),
  }),
  conditions: conditionsSchema.optional(),
  candidates: z.array(candidateSchema),
  notTried: z.array(z.object({ precision: z.string(), why: z.string() })),
  warnings: z.array(z.string()),
  chosen: z.string().nullable(),
});

export type BenchReport = z.infer<typeof benchSchema>;
export type CandidateRow = z.infer<typeof candidateSchema>;
export type Conditions = z.infer<typeof conditionsSchema>;
export type LatencyMs = z.infer<typeof latencySchema>;
export type Fidelity = z.infer<typeof fidelitySchema>;
export type Method = (typeof methods)[number];
export type RowVariant = z.infer<typeof rowVariantSchema>;
