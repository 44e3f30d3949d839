import type { Command } from 'commander';
import type { BenchReport } from '../contracts/bench.ts';
import type { FitService } from '../fit/types.ts';
import type { ExitCode } from './errors.ts';
import type { Io } from './output.ts';

/** Sends a report when it is there. */
export type SendReport = (report: BenchReport, signal: AbortSignal) => Promise<void>;

/** Reporting over MQTT: its options, and their check before the long work starts. */
export interface Reporting {
  readonly addOptions: (command: Command) => Command;
  /** Null when no report is wanted. Throws on options that cannot be used. */
  readonly prepare: (
    options: Record<string, unknown>,
    env: Io['env'],
  ) => Promise<SendReport | null>;
}

/** What commands get from outside; `main.ts` passes the real ones. */
export interface CliContext {
  readonly io: Io;
  readonly version: string;
  readonly signal: AbortSignal;
  /** Loads the measuring part: it is heavy, and `--help` does without. */
  readonly loadFit: () => Promise<FitService>;
  /** Path of the built-in demo model's manifest. */
  readonly demoModel: string;
  readonly reporting?: Reporting | undefined;
}

/** Commands tell here how they ended; an error thrown tells it by its kind. */
export interface Outcome {
  code: ExitCode;
}
