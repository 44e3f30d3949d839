import { metrics, type Metric } from '../contracts/metrics.ts';
import type { Family, Point } from './prometheus.ts';
import type { Latest } from './streams.ts';

const MODEL_LABELS = ['model', 'version', 'precision'];

/** The metrics of the catalog, one family a name, with what was last sampled. */
export function catalogFamilies(latest: () => readonly Latest[]): readonly Family[] {
  const names = [...new Set(metrics.map(({ prometheus }) => prometheus.name))];
  return names.map((name) => {
    const members = metrics.filter(({ prometheus }) => prometheus.name === name);
    const labels = [
      ...new Set(members.flatMap(({ prometheus }) => Object.keys(prometheus.labels ?? {}))),
      ...(members.some(({ stream }) => stream === 'infer') ? MODEL_LABELS : []),
    ];
    const { help, type } = members[0]?.prometheus ?? { help: '', type: 'gauge' as const };
    const read = () => members.flatMap((metric) => pointsOf(metric, latest()));
    return { name, help, type, labels, read };
  });
}

function pointsOf({ stream, name, prometheus }: Metric, latest: readonly Latest[]): Point[] {
  return latest.flatMap((one) => {
    const value = one.values[name] ?? null;
    if (one.stream !== stream || value === null) return [];
    const { model } = one;
    const about =
      model === null
        ? {}
        : { model: model.name, version: model.version, precision: model.precision };
    const labels = { ...prometheus.labels, ...about };
    return [{ labels, value: value * (prometheus.factor ?? 1) }];
  });
}

/** Who says this, the same on devices and controllers. */
export function buildInfo(version: string): Family {
  const labels = { version, node: process.version, arch: process.arch };
  return {
    name: 'edgefit_build_info',
    help: 'version of the agent, of Node.js, and the architecture it runs on',
    type: 'gauge',
    labels: Object.keys(labels),
    read: () => [{ labels, value: 1 }],
  };
}

/** What a controller knows of its fleet. Few labels: no device has a line of its own. */
export interface FleetFigures {
  readonly devices: readonly {
    readonly state: string;
    readonly class: string;
    readonly count: number;
  }[];
  readonly models: readonly {
    readonly model: string;
    readonly version: string;
    readonly precision: string;
    readonly count: number;
  }[];
  /** Of rollouts that are not archived, devices by how far their job is. */
  readonly rollouts: readonly {
    readonly rollout: string;
    readonly state: string;
    readonly status: string;
    readonly count: number;
  }[];
  /** Whether this controller is the one that acts. */
  readonly leader: boolean;
  readonly connected: boolean;
}

/** The families of a controller; `read` is asked once for each of them at every scrape. */
export function fleetFamilies(read: () => FleetFigures): readonly Family[] {
  return [
    {
      name: 'edgefit_fleet_devices',
      help: 'devices of the fleet by their state and hardware class',
      type: 'gauge',
      labels: ['state', 'class'],
      read: () => read().devices.map(({ count, ...labels }) => ({ labels, value: count })),
    },
    {
      name: 'edgefit_fleet_models',
      help: 'devices by the model that they run and its precision',
      type: 'gauge',
      labels: ['model', 'version', 'precision'],
      read: () => read().models.map(({ count, ...labels }) => ({ labels, value: count })),
    },
    {
      name: 'edgefit_rollout_devices',
      help: 'devices of a rollout by the status of their job, with the state of the rollout',
      type: 'gauge',
      labels: ['rollout', 'state', 'status'],
      read: () => read().rollouts.map(({ count, ...labels }) => ({ labels, value: count })),
    },
    {
      name: 'edgefit_controller_leader',
      help: 'whether this controller is the one that acts',
      type: 'gauge',
      read: () => [{ value: Number(read().leader) }],
    },
    {
      name: 'edgefit_mqtt_connected',
      help: 'whether there is a connection to the broker',
      type: 'gauge',
      read: () => [{ value: Number(read().connected) }],
    },
  ];
}
