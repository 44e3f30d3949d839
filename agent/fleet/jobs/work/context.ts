import type { BenchReport } from '../../../contracts/bench.ts';
import type { DecisionRecord } from '../../../contracts/fit.ts';
import type { Release } from '../../../contracts/release.ts';
import type { download } from '../../../deploy/download/download.ts';
import type { Counters } from '../counters.ts';
import type { TrustedMetadata } from '../metadata.ts';

/** What the phases of a job need of the device around them. */
export interface WorkContext {
  /** Folders below the state folder, on one file system. */
  readonly folders: {
    /** models/NAME/{releases,current,previous} */
    readonly models: string;
    /** Packages as they came, by model and version. */
    readonly packages: string;
    /** For what is being made; emptied at start. */
    readonly scratch: string;
    /** Samples that deployed models are checked with, by model and version. */
    readonly evaluation: string;
    /** Models that were fitted before, by what decides the result. */
    readonly cache: string;
    /** Inputs of applications that this device keeps, a folder for each model. */
    readonly recorded: string;
  };
  /** Address of the repository, or null: this device is deployed to by nobody. */
  readonly repository: string | null;
  readonly counters: Counters;
  /** The time to judge expiry by, milliseconds since 1970. */
  readonly nowMs: () => Promise<number>;
  readonly metadata: TrustedMetadata;
  /** What decides the result of fitting besides the model: board, runtimes, version of the agent. */
  readonly deviceClass: () => Promise<readonly string[]>;
  readonly conditions: () => Promise<Conditions>;
  /**
   * Told when what applications load has changed, before it is said to be good; null when the model is
   * gone. May be told twice of one change: after a crash nobody knows whether it was.
   */
  readonly onSwitched: (model: string, release: Release | null, link: string) => Promise<void>;
  /** Takes what a benchmark of a deployed model has found. */
  readonly onBench: (measured: Measured) => Promise<void>;
  /** Takes settings over. Throws AgentError (`bad_settings`). */
  readonly applySettings: (settings: Readonly<Record<string, unknown>>) => Promise<void>;
  /** Log, versions and facts for somebody who looks for a fault; no secrets. */
  readonly diagnostics: (lines: number) => Promise<Readonly<Record<string, unknown>>>;
  /** The application's own word on the model; null when it has none. */
  readonly health: ((model: string, signal: AbortSignal) => Promise<Health>) | null;
  /** Runs the agent itself as a child: heavy work does not happen in the daemon. */
  readonly runAgent: RunAgent;
  /** Brings a file under its signed length and hash; by HTTP when it is not given. */
  readonly download?: typeof download | undefined;
  /** The same with another agent, one that is to be installed. */
  readonly runProgram: (
    program: AgentProgram,
    args: readonly string[],
    signal: AbortSignal,
  ) => Promise<AgentRun>;
  /** How the agent replaces itself; null when nobody would start the old one again. */
  readonly selfUpdate: SelfUpdate | null;
  readonly pollMs: number;
  /** Evaluation samples are kept up to this size; 0: never. */
  readonly samplesBytes: number;
}

/** A benchmark of a deployed model. */
export interface Measured {
  readonly release: Release;
  readonly report: BenchReport;
  /** What it was measured to be when it was fitted; null where the record is lost. */
  readonly fitted: DecisionRecord | null;
}

/** The agent itself as something that is installed. */
export interface SelfUpdate {
  /** Where the agents of this device are, see util/agents.ts. */
  readonly folder: string;
  /** The one that runs; null is the installed package. */
  readonly running: string | null;
  /** Version of the one that runs. */
  readonly version: string;
  /** What archives must be for, e.g. `linux-arm64`. */
  readonly platform: string;
  /** Whether the broker has answered on a connection that stands. */
  readonly online: () => boolean;
  /** Ends the daemon, which is started again at once. */
  readonly restart: (why: string) => void;
}

export interface AgentProgram {
  readonly node: string;
  /** Its command line. */
  readonly main: string;
}

/** What a job waits for. */
export interface Conditions {
  readonly celsius: number | null;
  /** Reasons to run slower that hold now, e.g. `under-voltage`. */
  readonly throttled: readonly string[];
  /** Whoever does not want to be disturbed now, or null. */
  readonly lockedBy: string | null;
}

export interface Health {
  readonly ok: boolean;
  readonly text: string;
}

export interface AgentRun {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  /** Its last line on stderr: what it says of an error. */
  readonly complaint: string;
}

export type RunAgent = (args: readonly string[], signal: AbortSignal) => Promise<AgentRun>;
