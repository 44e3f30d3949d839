import { buildInfo, catalogFamilies } from '../telemetry/families.ts';
import type { Family } from '../telemetry/prometheus.ts';
import type { Latest } from '../telemetry/streams.ts';
import type { InferState } from './infer-state.ts';
import type { JobTally } from './job-tally.ts';

export interface DeviceFigures {
  /** Version of the agent. */
  readonly agent: string;
  readonly latest: () => readonly Latest[];
  readonly models: InferState['models'];
  readonly isConnected: () => boolean;
  readonly tally: JobTally;
}

/** From a look at the metadata to a model that is fitted for an hour. */
const PHASE_SECONDS = [0.1, 1, 10, 60, 300, 1800, 7200];

/** What a device shows at `GET /metrics`. */
export function deviceFamilies(figures: DeviceFigures): readonly Family[] {
  const own = [buildInfo(figures.agent), ...ownFamilies(figures)];
  const names = own.map(({ name }) => name);
  return [...own, ...catalogFamilies(figures.latest).filter(({ name }) => !names.includes(name))];
}

function ownFamilies({ models, isConnected, tally }: DeviceFigures): readonly Family[] {
  return [
    {
      name: 'edgefit_model_info',
      help: 'models that are deployed here',
      type: 'gauge',
      labels: ['model', 'version', 'precision', 'runtime'],
      read: () =>
        [...models()].map(([model, { version, precision, runtime }]) => ({
          labels: { model, version, precision, runtime },
          value: 1,
        })),
    },
    {
      name: 'edgefit_mqtt_connected',
      help: 'whether there is a connection to the broker',
      type: 'gauge',
      read: () => [{ value: Number(isConnected()) }],
    },
    {
      name: 'edgefit_jobs_total',
      help: 'jobs that have ended, since the start',
      type: 'counter',
      labels: ['type', 'outcome'],
      read: () =>
        tally
          .ended()
          .map(({ type, outcome, count }) => ({ labels: { type, outcome }, value: count })),
    },
    {
      name: 'edgefit_job_phase_duration_seconds',
      help: 'time in the phases of jobs that have ended',
      type: 'histogram',
      labels: ['phase'],
      buckets: PHASE_SECONDS,
      read: () =>
        tally.takePhases().map(({ phase, seconds }) => ({ labels: { phase }, value: seconds })),
    },
    {
      name: 'edgefit_job_last_success_timestamp_seconds',
      help: 'when a job of a type last ended well, by the clock of the device',
      type: 'gauge',
      labels: ['type'],
      read: () => [...tally.lastSuccess()].map(([type, value]) => ({ labels: { type }, value })),
    },
  ];
}
