import type { Command } from 'commander';
import type { BenchReport } from '../contracts/bench.ts';
import type { RuntimeName } from '../contracts/facts.ts';
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

/** The built-in demo model: one network, in each format. */
export interface DemoModels {
  /** Paths of the manifests. */
  readonly onnx: string;
  readonly tflite: string;
  /** What this machine can run; it takes a look at the machine. */
  readonly runtimesHere: () => Promise<readonly RuntimeName[]>;
}

/** What commands get from outside; `main.ts` passes the real ones. */
export interface CliContext {
  readonly io: Io;
  readonly version: string;
  readonly signal: AbortSignal;
  /** Loads the measuring part: it is heavy, and `--help` does without. */
  readonly loadFit: () => Promise<FitService>;
  readonly demo: DemoModels;
  readonly reporting?: Reporting | undefined;
}

/** Commands tell here how they ended; an error thrown tells it by its kind. */
export interface Outcome {
  code: ExitCode;
}
