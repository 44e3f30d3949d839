import type { Config } from '../contracts/config.ts';
import type { DecisionRecord } from '../contracts/fit.ts';
import type { Release } from '../contracts/release.ts';
import { OFF } from '../config/schedules.ts';
import type { DeviceParts } from '../fleet/device/device.ts';
import type { JobService } from '../fleet/jobs/service.ts';
import type { Measured } from '../fleet/jobs/work/context.ts';
import type { MetricsOptions } from '../telemetry/metrics-server.ts';
import { openHostSampler, type HostSampler } from '../telemetry/host.ts';
import { openSelfSampler, type SelfSampler } from '../telemetry/self.ts';
import type { TelemetryStreams } from '../telemetry/streams.ts';
import { messageOf } from '../util/errors.ts';
import { countsOf, offlineClock } from './counts.ts';
import { deviceFamilies } from './device-families.ts';
import { tellDrift } from './drift-event.ts';
import { openInferState, type InferState } from './infer-state.ts';
import { JobTally } from './job-tally.ts';
import type { Log } from './log.ts';
import { monotonicMs } from './moment.ts';
import { openStreams } from './open-streams.ts';
import { startSchedules } from './schedules.ts';

export interface DaemonTelemetryOptions {
  readonly config: Config;
  readonly deviceId: string;
  /** Version of the agent. */
  readonly agent: string;
  readonly bootId: string | null;
  readonly state: string;
  readonly log: Log;
  /** Both, once they are there. */
  readonly device: () => DeviceParts | null;
  readonly jobs: () => JobService | null;
}

export interface DaemonTelemetry {
  readonly tally: JobTally;
  /** A deployed model was measured, by a job or by schedule. */
  readonly measured: (measured: Measured) => Promise<void>;
  readonly switched: (
    model: string,
    release: Release | null,
    fitted: DecisionRecord | null,
  ) => Promise<void>;
  /** Begins to sample, to measure and to serve. */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const MINUTE_MS = 60_000;
/** Who scrapes more seldom than this, or samples more seldom, still gets values of now. */
const FRESH_MS = 15_000;

/** What the device measures of itself, and who is told. Throws FileError. */
export async function openDaemonTelemetry(
  options: DaemonTelemetryOptions,
): Promise<DaemonTelemetry> {
  const { config, state, log, device } = options;
  const { telemetry } = config;
  const tally = new JobTally();
  const infer = await openInferState({
    state,
    limits: telemetry,
    warn: (message) => log.logger.warn(message),
  });
  const streams = openStreams(options);
  const samplers = await openSamplers(state);
  const offline = offlineClock(device);
  let sampledMs = -Infinity;
  const sample = async () => {
    sampledMs = monotonicMs();
    const counts = countsOf(options, tally, offline());
    await streams.take('host', await samplers.host.read());
    await streams.take('agent', await samplers.self.read(counts));
    await takeModels(streams, infer);
  };
  const measure = async (accuracy: boolean) => {
    const { waitMinutes, benchSeconds } = telemetry;
    const limits = { waitMs: waitMinutes * MINUTE_MS, limitMs: benchSeconds * 1000 };
    await options.jobs()?.measure({ accuracy, ...limits });
  };
  let stops: readonly (() => Promise<void>)[] = [];
  return {
    tally,
    measured: async (measured) => {
      const changes = await infer.measured(measured);
      await takeModels(streams, infer);
      for (const change of changes) {
        // oxlint-disable-next-line no-await-in-loop -- two at most
        await tellDrift(change, options);
      }
    },
    switched: async (model, release, fitted) => {
      await infer.switched(model, release, fitted);
      if (release === null) streams.forget('infer', model);
      await takeModels(streams, infer);
    },
    start: async () => {
      const jitterMs = telemetry.jitterMinutes * MINUTE_MS;
      const { benchSchedule, driftSchedule } = telemetry;
      const isHeard = config.mqtt.url !== undefined || config.metrics.listen !== undefined;
      const schedules = await startSchedules(
        [
          { name: 'telemetry', cron: isHeard ? telemetry.schedule : OFF, run: sample },
          { name: 'bench', cron: benchSchedule, jitterMs, run: () => measure(false) },
          { name: 'drift', cron: driftSchedule, jitterMs, run: () => measure(true) },
        ],
        { warn: (fields, message) => log.logger.warn(fields, message) },
      );
      stops = [schedules];
      const close = await serve(config, log, {
        families: deviceFamilies({
          agent: options.agent,
          latest: () => streams.latest(),
          models: infer.models,
          isConnected: () => device()?.session.online() ?? false,
          tally,
        }),
        refresh: async () => {
          if (monotonicMs() - sampledMs > FRESH_MS) await sample();
        },
      });
      stops = [schedules, close];
    },
    stop: async () => {
      await Promise.all(stops.map((stop) => stop()));
      samplers.self.close();
    },
  };
}

interface Samplers {
  readonly host: HostSampler;
  readonly self: SelfSampler;
}

async function openSamplers(state: string): Promise<Samplers> {
  return { host: await openHostSampler({ state }), self: openSelfSampler() };
}

async function takeModels(streams: TelemetryStreams, infer: InferState): Promise<void> {
  for (const [name, { version, precision, values }] of infer.models()) {
    // oxlint-disable-next-line no-await-in-loop -- one or two
    await streams.take('infer', values, { name, version, precision });
  }
}

async function serve(
  { metrics: { listen } }: Config,
  { logger }: Log,
  what: Pick<MetricsOptions, 'families' | 'refresh'>,
): Promise<() => Promise<void>> {
  if (listen === undefined) return async () => undefined;
  const { serveMetrics } = await import('../telemetry/metrics-server.ts');
  try {
    const { port, close } = await serveMetrics({ listen, ...what });
    logger.info({ listen, port }, 'GET /metrics is served');
    return close;
  } catch (error) {
    // Who cannot be scraped is still a device of its fleet.
    logger.error({ why: messageOf(error) }, 'GET /metrics is not served');
    return async () => undefined;
  }
}
