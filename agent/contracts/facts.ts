import { z } from 'zod';

/** A fact's value is unknown when its file was missing, unreadable or nonsense; `unknown` says why. */
const nullable = <T extends z.ZodType>(schema: T) => schema.nullable();

export const acceleratorKinds = [
  'edgetpu-usb',
  'edgetpu-pcie',
  'hailo-8',
  'hailo-8l',
  'nvidia-gpu',
  'nvidia-dla',
] as const;

export const precisions = ['int8', 'fp16', 'fp32'] as const;
export const runtimeNames = ['onnxruntime', 'tflite', 'tensorrt'] as const;

export const boardSchema = z.object({
  id: z.string().describe('board id, e.g. rpi-5 or generic-x86-64'),
  model: nullable(z.string()).describe('the name the board gives itself'),
  compatible: z.array(z.string()).describe('device-tree compatible strings, most specific first'),
});

export const cpuSchema = z.object({
  arch: z.string().describe('arm64, arm, x64, ...'),
  vendor: nullable(z.string()),
  model: nullable(z.string()),
  coresOnline: nullable(z.number().int().positive()),
  coresUsable: nullable(z.number().positive()).describe('cores online, capped by the cgroup quota'),
  features: z.array(z.string()).describe('ISA features that every online core has'),
  governor: nullable(z.string()),
  maxFrequencyHz: nullable(z.number()),
  currentFrequencyHz: nullable(z.number()),
  frequencyCappedToHz: nullable(z.number()).describe('set when a power mode caps the clock'),
  userland: z
    .string()
    .optional()
    .describe('architecture of the programs, where it is not that of the kernel: arm on arm64'),
});

export const memorySchema = z.object({
  totalBytes: nullable(z.number()),
  availableBytes: nullable(z.number()),
  limitBytes: nullable(z.number()).describe('cgroup limit, null when there is none'),
  swapBytes: nullable(z.number()),
});

export const acceleratorSchema = z.object({
  kind: z.enum(acceleratorKinds),
  usable: z.boolean(),
  problem: z.string().optional().describe('why it cannot be used, and the fix'),
  device: z.string().optional(),
  usbMbps: z.number().optional().describe('speed of its USB link: 480 is USB 2'),
});

export const jetsonSchema = z.object({
  soc: nullable(z.string()).describe('tegra234, ...'),
  l4t: nullable(z.string()).describe('release of the system: 36.4.3'),
  jetpack: nullable(z.string()).describe(
    'the bundle it came with: 6.2; 6 where only that is known',
  ),
  cuda: nullable(z.string()),
  tensorrt: nullable(z.string()),
  powerMode: nullable(z.string()).describe('name of the mode that is set: MAXN, 15W, ...'),
  powerModes: z.array(z.string()).describe('names of all modes of this board'),
  superMode: nullable(z.boolean()).describe('Orin Nano and NX: flashed with the faster modes'),
});

export const factsSchema = z.object({
  schema: z.literal('edgefit/facts/1'),
  board: boardSchema,
  cpu: cpuSchema,
  memory: memorySchema,
  accelerators: z.array(acceleratorSchema),
  thermal: z.array(z.object({ zone: z.string(), celsius: nullable(z.number()) })),
  throttling: nullable(
    z.object({
      now: z.array(z.string()),
      sinceBoot: z.array(z.string()),
    }),
  ),
  power: z
    .object({
      mode: nullable(z.string()).describe('name of the power mode of a Jetson'),
      clocksLocked: nullable(z.boolean()).describe('held at one frequency, as jetson_clocks does'),
      totalMilliwatts: nullable(z.number()).describe('the input of the board, or all rails'),
      rails: z.array(
        z.object({
          name: z.string(),
          milliwatts: nullable(z.number()).describe('null for a counter of energy'),
        }),
      ),
    })
    .optional()
    .describe('absent where a machine has neither power modes nor a power monitor'),
  gpu: z
    .object({
      frequencyHz: nullable(z.number()),
      loadShare: nullable(z.number()).describe('0 to 1'),
    })
    .optional()
    .describe('absent where no file tells of a GPU'),
  os: z.object({
    name: nullable(z.string()),
    kernel: nullable(z.string()),
    container: z.boolean(),
  }),
  jetson: jetsonSchema.optional().describe('only on a Jetson'),
  profile: z.object({
    id: z.string(),
    precisions: z.array(z.enum(precisions)).describe('in the order to try'),
    runtimes: z.array(z.enum(runtimeNames)),
  }),
  sources: z
    .record(z.string(), z.string())
    .describe('fact -> the file it came from, as a path under the root'),
  unknown: z.array(z.object({ fact: z.string(), why: z.string() })),
});

/** What a machine is, as far as could be read. */
export type Facts = z.infer<typeof factsSchema>;
/** Facts before a profile was matched to them. */
export type DeviceFacts = Omit<Facts, 'profile' | 'schema'>;
export type Precision = (typeof precisions)[number];
export type RuntimeName = (typeof runtimeNames)[number];
