import { jobOutcomes } from './job.ts';
import type { TelemetryStream } from './telemetry.ts';

/**
 * Every metric that a device measures of itself: its name and unit in telemetry, the band within
 * which a change is not worth a message, and its name and unit at `GET /metrics`.
 */

export const metricUnits = [
  'ratio',
  'celsius',
  'bytes',
  'watts',
  'joules',
  'milliseconds',
  'millijoules',
  'decibels',
  'seconds',
  'boolean',
  'count',
] as const;

export type MetricUnit = (typeof metricUnits)[number];

/** A change counts when it is at least this much: the larger of the two where both are given. */
export interface DeadBand {
  readonly absolute?: number;
  /** Of the value that was last sent. */
  readonly relative?: number;
}

export interface PrometheusName {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Fixed labels, which tell metrics under one name apart. */
  readonly labels?: Readonly<Record<string, string>>;
  /** From the unit of telemetry to the base unit; default 1. */
  readonly factor?: number;
}

export interface Metric {
  readonly stream: TelemetryStream;
  readonly name: string;
  readonly unit: MetricUnit;
  readonly help: string;
  readonly deadBand: DeadBand;
  /** What is sent is rounded to this step. */
  readonly step: number;
  readonly prometheus: PrometheusName;
}

const MEBIBYTE = 1024 ** 2;

type Described = Omit<Metric, 'stream' | 'prometheus'> & {
  readonly prometheus: Omit<PrometheusName, 'help'> & { readonly help?: string };
};

/** The help of Prometheus is that of the metric, unless several share one name. */
function within(stream: TelemetryStream, metrics: readonly Described[]): readonly Metric[] {
  return metrics.map(({ prometheus, ...metric }) => ({
    ...metric,
    stream,
    prometheus: { ...prometheus, help: prometheus.help ?? metric.help },
  }));
}

type Named = Described['prometheus'];

const gauge = (name: string, more: Omit<Partial<Named>, 'name' | 'type'> = {}): Named => ({
  name,
  type: 'gauge',
  ...more,
});

const counter = (name: string, more: Omit<Partial<Named>, 'name' | 'type'> = {}): Named => ({
  name,
  type: 'counter',
  ...more,
});

const pressure = (resource: 'cpu' | 'memory' | 'io'): Described => ({
  name: `${resource}PressureRatio`,
  unit: 'ratio',
  help: `share of the last 10 s in which something waited for ${resource} (PSI, some avg10)`,
  deadBand: { absolute: 0.1 },
  step: 0.001,
  prometheus: gauge('edgefit_pressure_ratio', {
    labels: { resource },
    help: 'share of the last 10 s in which something waited for a resource (PSI, some avg10)',
  }),
});

const HOST = within('host', [
  {
    name: 'cpuRatio',
    unit: 'ratio',
    help: 'share of all processor time that was used since the last sample',
    deadBand: { absolute: 0.1 },
    step: 0.001,
    prometheus: gauge('edgefit_cpu_usage_ratio'),
  },
  {
    name: 'gpuRatio',
    unit: 'ratio',
    help: 'load of the GPU, where a file tells it',
    deadBand: { absolute: 0.1 },
    step: 0.001,
    prometheus: gauge('edgefit_gpu_usage_ratio'),
  },
  {
    name: 'memoryAvailableBytes',
    unit: 'bytes',
    help: 'memory that the kernel could hand out without swapping',
    deadBand: { absolute: 16 * MEBIBYTE, relative: 0.1 },
    step: MEBIBYTE,
    prometheus: gauge('edgefit_memory_available_bytes'),
  },
  {
    name: 'memoryTotalBytes',
    unit: 'bytes',
    help: 'memory of the machine',
    deadBand: { absolute: 1 },
    step: 1,
    prometheus: gauge('edgefit_memory_total_bytes'),
  },
  pressure('cpu'),
  pressure('memory'),
  pressure('io'),
  {
    name: 'socCelsius',
    unit: 'celsius',
    help: 'the hottest zone of the processor',
    deadBand: { absolute: 2 },
    step: 0.1,
    prometheus: gauge('edgefit_soc_temperature_celsius'),
  },
  {
    name: 'acceleratorCelsius',
    unit: 'celsius',
    help: 'the hottest accelerator: GPU, Edge TPU, NPU',
    deadBand: { absolute: 2 },
    step: 0.1,
    prometheus: gauge('edgefit_accelerator_temperature_celsius'),
  },
  {
    name: 'throttled',
    unit: 'boolean',
    help: 'whether the machine runs slower than it could, for heat or power',
    deadBand: { absolute: 1 },
    step: 1,
    prometheus: gauge('edgefit_throttled'),
  },
  {
    name: 'powerWatts',
    unit: 'watts',
    help: 'what the machine draws, where a rail is measured',
    deadBand: { absolute: 0.5, relative: 0.2 },
    step: 0.001,
    prometheus: gauge('edgefit_power_watts'),
  },
  {
    name: 'energyJoules',
    unit: 'joules',
    help: 'what the machine has used since the agent started, where a rail is measured',
    deadBand: { absolute: 5000, relative: 0.2 },
    step: 1,
    prometheus: counter('edgefit_energy_joules_total'),
  },
  {
    name: 'diskFreeBytes',
    unit: 'bytes',
    help: 'room on the file system of the state folder, for this user',
    deadBand: { absolute: 32 * MEBIBYTE, relative: 0.02 },
    step: MEBIBYTE,
    prometheus: gauge('edgefit_disk_free_bytes'),
  },
  {
    name: 'diskTotalBytes',
    unit: 'bytes',
    help: 'size of the file system of the state folder',
    deadBand: { absolute: 1 },
    step: 1,
    prometheus: gauge('edgefit_disk_total_bytes'),
  },
  {
    name: 'networkReceivedBytes',
    unit: 'bytes',
    help: 'received by the network devices of the machine since it started',
    deadBand: { absolute: 64 * MEBIBYTE, relative: 0.2 },
    step: 1,
    prometheus: counter('edgefit_network_received_bytes_total'),
  },
  {
    name: 'networkSentBytes',
    unit: 'bytes',
    help: 'sent by the network devices of the machine since it started',
    deadBand: { absolute: 64 * MEBIBYTE, relative: 0.2 },
    step: 1,
    prometheus: counter('edgefit_network_sent_bytes_total'),
  },
]);

type JobOutcome = (typeof jobOutcomes)[number];

/** `rolled_back` is counted as `jobsRolledBack`. */
export function jobsMetricOf(outcome: JobOutcome): string {
  const words = outcome.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `jobs${words.join('')}`;
}

const AGENT = within('agent', [
  {
    name: 'rssBytes',
    unit: 'bytes',
    help: 'memory of the agent, shared pages in full',
    deadBand: { absolute: 4 * MEBIBYTE, relative: 0.1 },
    step: 4096,
    prometheus: gauge('edgefit_agent_resident_memory_bytes'),
  },
  {
    name: 'pssBytes',
    unit: 'bytes',
    help: 'memory of the agent, shared pages by their share',
    deadBand: { absolute: 4 * MEBIBYTE, relative: 0.1 },
    step: 1024,
    prometheus: gauge('edgefit_agent_proportional_memory_bytes'),
  },
  {
    name: 'loopDelayP99Ms',
    unit: 'milliseconds',
    help: 'how late the event loop of the agent was since the last sample, 99 of 100 times',
    deadBand: { absolute: 50 },
    step: 0.1,
    prometheus: gauge('edgefit_agent_event_loop_delay_seconds', {
      labels: { percentile: '99' },
      factor: 1e-3,
    }),
  },
  {
    name: 'outboxMessages',
    unit: 'count',
    help: 'messages on the disk that no broker has acknowledged',
    deadBand: { absolute: 10, relative: 0.1 },
    step: 1,
    prometheus: gauge('edgefit_outbox_messages'),
  },
  {
    name: 'outboxBytes',
    unit: 'bytes',
    help: 'size of these messages',
    deadBand: { absolute: 64 * 1024, relative: 0.1 },
    step: 1,
    prometheus: gauge('edgefit_outbox_bytes'),
  },
  {
    name: 'outboxDropped',
    unit: 'count',
    help: 'messages that a full outbox has given up',
    deadBand: { absolute: 1 },
    step: 1,
    prometheus: counter('edgefit_messages_dropped_total', {
      labels: { reason: 'full' },
      help: 'messages that were given up',
    }),
  },
  {
    name: 'outboxRefused',
    unit: 'count',
    help: 'messages that the broker will never take, since the start',
    deadBand: { absolute: 1 },
    step: 1,
    prometheus: counter('edgefit_messages_dropped_total', {
      labels: { reason: 'refused' },
      help: 'messages that were given up',
    }),
  },
  {
    name: 'reconnects',
    unit: 'count',
    help: 'connections to the broker after the first, since the start',
    deadBand: { absolute: 1 },
    step: 1,
    prometheus: counter('edgefit_mqtt_reconnects_total'),
  },
  {
    name: 'offlineSeconds',
    unit: 'seconds',
    help: 'time without a broker since the start',
    deadBand: { absolute: 60, relative: 0.05 },
    step: 1,
    prometheus: counter('edgefit_offline_seconds_total'),
  },
  {
    name: 'refusedMessages',
    unit: 'count',
    help: 'incoming messages that were not acted upon, since the start',
    deadBand: { absolute: 1, relative: 0.1 },
    step: 1,
    prometheus: counter('edgefit_messages_refused_total'),
  },
  ...jobOutcomes.map((outcome): Described => ({
    name: jobsMetricOf(outcome),
    unit: 'count',
    help: `jobs that ended with the outcome ${outcome}, since the start`,
    deadBand: { absolute: 1 },
    step: 1,
    prometheus: counter('edgefit_jobs_total', {
      labels: { outcome },
      help: 'jobs that have ended, since the start',
    }),
  })),
]);

/** Not `quantile`: Prometheus keeps that label for its own summaries. */
const percentile = (name: string, share: string, words: string): Described => ({
  name,
  unit: 'milliseconds',
  help: `${words} latency of the deployed model in the last benchmark`,
  deadBand: { relative: 0.02 },
  step: 0.0001,
  prometheus: gauge('edgefit_benchmark_latency_seconds', {
    labels: { percentile: share },
    factor: 1e-3,
    help: 'latency of the deployed model in the last benchmark',
  }),
});

const INFER = within('infer', [
  percentile('p50Ms', '50', 'median'),
  percentile('p90Ms', '90', '90th percentile'),
  percentile('p99Ms', '99', '99th percentile'),
  {
    name: 'driftRatio',
    unit: 'ratio',
    help: 'p90 of the last benchmark by p90 when the model was deployed',
    deadBand: { absolute: 0.02 },
    step: 0.001,
    prometheus: gauge('edgefit_benchmark_drift_ratio'),
  },
  {
    name: 'accuracy',
    unit: 'ratio',
    help: 'task metric of the deployed model on the evaluation samples of its package',
    deadBand: { absolute: 0.0005 },
    step: 0.0001,
    prometheus: gauge('edgefit_benchmark_accuracy_ratio'),
  },
  {
    name: 'sqnrDb',
    unit: 'decibels',
    help: 'signal to quantization noise of the deployed model, as it was fitted',
    deadBand: { absolute: 0.1 },
    step: 0.01,
    prometheus: gauge('edgefit_benchmark_sqnr_decibels'),
  },
  {
    name: 'energyMillijoules',
    unit: 'millijoules',
    help: 'energy of one inference in the last benchmark, where a rail is measured',
    deadBand: { relative: 0.05 },
    step: 0.001,
    prometheus: gauge('edgefit_benchmark_energy_joules', { factor: 1e-3 }),
  },
]);

/** By stream, in the order in which people read them. */
export const metrics: readonly Metric[] = [...HOST, ...AGENT, ...INFER];

/** The metrics of one stream, by name. */
export function metricsOf(stream: TelemetryStream): ReadonlyMap<string, Metric> {
  return new Map(
    metrics.filter((metric) => metric.stream === stream).map((metric) => [metric.name, metric]),
  );
}
