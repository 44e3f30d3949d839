import { metricsOf } from '../contracts/metrics.ts';
import type { Telemetry, TelemetryStream } from '../contracts/telemetry.ts';
import { ChangeReporter, type Values } from './changes.ts';
import { Thinning } from './thinning.ts';

export type MeasuredModel = NonNullable<Telemetry['model']>;

export interface StreamsOptions {
  readonly deviceId: string;
  readonly bootId: string | null;
  /** How often everything is sent. */
  readonly fullMs: number;
  /** Pause between samples that are kept at the beginning of an outage; 0: none is. */
  readonly historyMs: number;
  readonly nowMs: () => number;
  /** Milliseconds since boot. */
  readonly monoMs: () => number;
  readonly isOnline: () => boolean;
  /** Sends a message that may be lost. */
  readonly publish: (message: Telemetry) => Promise<void>;
  /** Keeps a message for later, at low priority. */
  readonly keep: (message: Telemetry) => Promise<void>;
}

/** What was last measured, whether it was worth a message or not. */
export interface Latest {
  readonly stream: TelemetryStream;
  readonly model: MeasuredModel | null;
  readonly values: Values;
}

interface Line {
  readonly reporter: ChangeReporter;
  readonly thinning: Thinning;
  away: boolean;
  latest: Latest;
}

function keyOf(stream: TelemetryStream, model = ''): string {
  return `${stream} ${model}`;
}

/** The clock and the time since boot may part by so much within a sample without a jump. */
const JUMP_MS = 5000;

/**
 * Turns samples into messages: by exception while somebody listens, thinned and whole while nobody
 * can be told, and whole again as soon as somebody can. Each model has a line of its own in `infer`.
 */
export class TelemetryStreams {
  readonly #options: StreamsOptions;
  readonly #lines = new Map<string, Line>();
  readonly #seqs = new Map<TelemetryStream, number>();
  #clock: { readonly nowMs: number; readonly monoMs: number } | null = null;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  latest(): readonly Latest[] {
    return [...this.#lines.values()].map(({ latest }) => latest);
  }

  /** Rejects when a sample that should be kept could not be. */
  async take(
    stream: TelemetryStream,
    values: Values,
    model: MeasuredModel | null = null,
  ): Promise<void> {
    const { isOnline, publish, keep } = this.#options;
    const moment = this.#moment();
    const line = this.#lineOf({ stream, model, values });
    if (isOnline()) {
      if (line.away) line.reporter.reset();
      line.away = false;
      line.thinning.reset();
      const report = line.reporter.next(values, moment.mono);
      if (report !== null) await publish(this.#message(line, moment, report));
      return;
    }
    line.away = true;
    if (!line.thinning.take(moment.mono)) return;
    // Whole: each must be understood without those that are not kept.
    line.reporter.reset();
    const report = line.reporter.next(values, moment.mono);
    if (report !== null) await keep(this.#message(line, moment, report));
  }

  /** A model is not here any more. */
  forget(stream: TelemetryStream, model: string): void {
    this.#lines.delete(keyOf(stream, model));
  }

  #lineOf(latest: Latest): Line {
    const key = keyOf(latest.stream, latest.model?.name);
    const { fullMs, historyMs } = this.#options;
    const line = this.#lines.get(key) ?? {
      reporter: new ChangeReporter(metricsOf(latest.stream), fullMs),
      thinning: new Thinning(historyMs),
      away: false,
      latest,
    };
    // Values of one version are not to be mixed with those of another.
    if (line.latest.model?.version !== latest.model?.version) line.reporter.reset();
    line.latest = latest;
    this.#lines.set(key, line);
    return line;
  }

  /** A clock that has jumped makes readers order by it wrongly until they get everything anew. */
  #moment() {
    const [nowMs, monoMs] = [this.#options.nowMs(), this.#options.monoMs()];
    const before = this.#clock;
    this.#clock = { nowMs, monoMs };
    if (before !== null) {
      const jump = nowMs - before.nowMs - (monoMs - before.monoMs);
      if (Math.abs(jump) > JUMP_MS)
        for (const { reporter } of this.#lines.values()) reporter.reset();
    }
    return { ts: nowMs, mono: Math.round(monoMs) };
  }

  #message(
    { latest: { stream, model } }: Line,
    moment: { readonly ts: number; readonly mono: number },
    report: { readonly full: boolean; readonly values: Values },
  ): Telemetry {
    const { deviceId, bootId } = this.#options;
    const seq = (this.#seqs.get(stream) ?? 0) + 1;
    this.#seqs.set(stream, seq);
    return {
      schema: 'edgefit/telemetry/1',
      deviceId,
      stream,
      seq,
      ...moment,
      bootId,
      full: report.full,
      ...(model === null ? {} : { model }),
      values: { ...report.values },
    };
  }
}
