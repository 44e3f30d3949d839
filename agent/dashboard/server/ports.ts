import type { BenchReport } from '../../contracts/bench.ts';
import type {
  BenchLine,
  BrokerState,
  DeviceAction,
  DeviceRow,
  History,
  RolloutAction,
} from '../../contracts/dashboard.ts';
import type { Twin } from '../../contracts/fleet-twin.ts';
import type { JobRecord } from '../../contracts/job.ts';
import type { Birth } from '../../contracts/messages.ts';
import type { ControllerStatus, Rollout, RolloutSpec } from '../../contracts/rollout.ts';
import type { TelemetryStream } from '../../contracts/telemetry.ts';

/** What the web server needs of the rest, so that each part can be built and tested by itself. */

/** Values of a device, dated by the server where its own clock cannot be right. */
export interface Sample {
  readonly deviceId: string;
  readonly stream: TelemetryStream;
  readonly ts: number;
  readonly values: Readonly<Record<string, number | null>>;
}

export interface BenchArrival {
  readonly line: BenchLine;
  readonly report: BenchReport;
}

/** Called as things happen. */
export interface FleetListener {
  readonly device: (deviceId: string) => void;
  readonly broker: () => void;
  readonly controllers: () => void;
  readonly complete: () => void;
  readonly rollout: (rollout: Rollout) => void;
  readonly sample: (sample: Sample) => void;
  readonly job: (record: JobRecord) => void;
  readonly bench: (bench: BenchArrival) => void;
}

/** What the broker keeps of one device. */
export interface DeviceDocuments {
  readonly birth: Birth | null;
  readonly twin: Twin | null;
  readonly jobs: readonly JobRecord[];
}

/** The fleet as it is now. */
export interface FleetView {
  readonly rows: () => Iterable<DeviceRow>;
  readonly row: (deviceId: string) => DeviceRow | null;
  /** Whether a device is shut out: it has no row, and nothing that it says counts. */
  readonly isRevoked: (deviceId: string) => boolean;
  readonly isComplete: () => boolean;
  readonly broker: () => BrokerState;
  readonly controllers: () => readonly ControllerStatus[];
  readonly rollouts: () => readonly Rollout[];
  readonly rollout: (rolloutId: string) => Rollout | null;
  /** Messages of telemetry that were not looked at, because there were too many. */
  readonly refused: () => number;
  /** Asks the broker; what it cannot tell now is null or empty. */
  readonly documents: (deviceId: string) => Promise<DeviceDocuments>;
  /** Returns what ends it. */
  readonly listen: (listener: Partial<FleetListener>) => () => void;
}

/** What operators do. Everything throws ApiFailure. */
export interface Operator {
  readonly act: (
    deviceId: string,
    action: { readonly action: DeviceAction; readonly model?: string | undefined },
    actor: string,
  ) => Promise<{ readonly jobId: string }>;
  readonly plan: (spec: RolloutSpec, actor: string) => Promise<Rollout>;
  readonly create: (
    rollout: { readonly rolloutId: string; readonly spec: RolloutSpec; readonly approve: boolean },
    actor: string,
  ) => Promise<Rollout>;
  readonly command: (
    rolloutId: string,
    action: RolloutAction,
    reason: string | undefined,
    actor: string,
  ) => Promise<Rollout>;
}

export interface HistoryQuery {
  readonly deviceId: string;
  readonly metrics: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
  /** Longest series that is wanted. */
  readonly points: number;
}

export type Latest = Record<string, { value: number | null; ts: number }>;

/** A batch that is stored as one. */
export interface HistoryBatch {
  readonly samples: readonly Sample[];
  readonly jobs: readonly JobRecord[];
  readonly benches: readonly BenchArrival[];
}

/** A report in the order of all: newest first. */
export interface BenchPlace {
  readonly ts: number;
  readonly deviceId: string;
  readonly benchId: string;
}

/** A part of the list of all reports. */
export interface BenchPage {
  /** Those after it in the order; null: from the newest. */
  readonly before: BenchPlace | null;
  readonly limit: number;
}

/** What is kept for later. */
export interface HistoryStore {
  readonly write: (batch: HistoryBatch) => Promise<void>;
  readonly read: (query: HistoryQuery) => Promise<History>;
  readonly latest: (deviceId: string) => Promise<Latest>;
  /** Newest first. */
  readonly jobs: (deviceId: string) => Promise<readonly JobRecord[]>;
  readonly benches: (deviceId: string) => Promise<readonly BenchLine[]>;
  readonly allBenches: (page: BenchPage) => Promise<readonly BenchLine[]>;
  readonly bench: (deviceId: string, benchId: string) => Promise<BenchArrival | null>;
  /** Gives up what is too old or too much. Called now and then. */
  readonly prune: (nowMs: number) => Promise<void>;
  readonly close: () => Promise<void>;
}
