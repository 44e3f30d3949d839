import type { BenchReport } from '../../../contracts/bench.ts';
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
    /** Models that were fitted before, by what decides the result. */
    readonly cache: string;
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
  /** Takes the report of a benchmark that was asked for. */
  readonly onBench: (report: BenchReport) => Promise<void>;
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
  readonly pollMs: number;
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
