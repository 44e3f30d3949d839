import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config, ModelsConfig } from '../contracts/config.ts';
import type { Facts } from '../contracts/facts.ts';
import { settingsSchema, type ActiveModel, type Settings } from '../contracts/fleet-twin.ts';
import type { Release } from '../contracts/release.ts';
import type { DeviceParts } from '../fleet/device/device.ts';
import { readDecision } from '../fleet/jobs/decisions.ts';
import { openJobService, type JobService } from '../fleet/jobs/service.ts';
import { PhaseError } from '../fleet/jobs/phase-work.ts';
import type { Conditions, Health } from '../fleet/jobs/work/context.ts';
import type { HeatReader } from '../hardware/heat.ts';
import { codeOf, messageOf } from '../util/errors.ts';
import { builtModule } from '../util/paths.ts';
import { runShell } from './commands.ts';
import { rowOf, tellBench, tellFitted } from './last-bench.ts';
import type { Log } from './log.ts';
import { momentOf } from './moment.ts';
import { selfUpdateOf } from './self-update.ts';
import type { DaemonTelemetry } from './telemetry.ts';

export interface DaemonJobsOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly state: string;
  readonly deviceId: string;
  /** Version of the agent. */
  readonly agent: string;
  readonly bootId: string | null;
  readonly facts: () => Promise<Facts>;
  readonly log: Log;
  /** What children run; the agent itself by default. */
  readonly program?: string | undefined;
  /** The device, once it is there. */
  readonly device: () => DeviceParts | null;
  readonly telemetry: DaemonTelemetry;
  readonly onSettings: (settings: Settings) => void;
  /** Other keys count than before. */
  readonly onKeys: () => void;
  /** Ends the daemon, so that another agent can take over. */
  readonly restart: (why: string) => void;
}

const HOUR_MS = 3_600_000;
/** Of the log in a diagnosis: with the rest of a record it must fit into a message of 128 KiB. */
const MAX_LOG_BYTES = 48 * 1024;

/** Jobs with what the daemon around them can do. */
export function openDaemonJobs(options: DaemonJobsOptions): Promise<JobService> {
  const { config, env, state, deviceId, agent, bootId, facts, log, device, telemetry } = options;
  const { models } = config;
  const { logger } = log;
  return openJobService({
    deviceId,
    state,
    env,
    repository: models.repository ?? null,
    refreshMs: models.refreshHours * HOUR_MS,
    program: options.program ?? builtModule('cli/main'),
    selfUpdate: selfUpdateOf(options),
    moment: () => momentOf(bootId),
    deviceClass: async () => classOf(agent, await facts()),
    conditions: () => conditionsNow(models),
    health: models.healthCommand === undefined ? null : healthBy(models.healthCommand, models, env),
    onSwitched: async (model, release, link) => {
      await tellSwitch(model, release, link, options);
      await tellApplication(model, release, link, options);
    },
    onBench: async (measured) => {
      const parts = device();
      const { report, fitted } = measured;
      const known = fitted === null ? null : rowOf(fitted.bench)?.accuracy;
      const { model } = measured.release;
      if (parts !== null) await tellBench(parts, deviceId, { model, report, known });
      await telemetry.measured(measured);
    },
    onRecord: (record) => {
      telemetry.tally.add(record);
    },
    samplesBytes: config.telemetry.samplesBytes,
    applySettings: async (settings) => {
      const parsed = settingsSchema.safeParse(settings);
      if (!parsed.success) {
        const [issue] = parsed.error.issues;
        const where = ['settings', ...(issue?.path ?? [])].map(String).join('.');
        throw new PhaseError('bad_settings', `${where}: ${issue?.message ?? ''}`);
      }
      const parts = device();
      await parts?.twin.setSettings(parsed.data);
      options.onSettings(parsed.data);
      await parts?.session.republish();
    },
    diagnostics: async (lines) => ({
      agent,
      node: process.version,
      facts: await facts(),
      conditions: await conditionsNow(models),
      rssBytes: process.memoryUsage.rss(),
      uptimeSeconds: Math.round(process.uptime()),
      outbox: device()?.outbox.stats() ?? null,
      refused: device()?.refusals.counts() ?? null,
      log: tailOf(log, lines),
    }),
    publish: (message) => {
      void device()?.session.publish(message);
    },
    onKeys: options.onKeys,
    log: {
      info: (fields, message) => {
        logger.info(fields, message);
      },
      warn: (fields, message) => {
        logger.warn(fields, message);
      },
    },
  });
}

/** What decides how a model is fitted, besides the model. */
function classOf(agent: string, { board, cpu, accelerators, profile }: Facts): readonly string[] {
  return [
    agent,
    process.version,
    board.id,
    cpu.arch,
    cpu.model ?? '',
    String(cpu.coresUsable),
    cpu.features.join(' '),
    accelerators
      .filter(({ usable }) => usable)
      .map(({ kind }) => kind)
      .join(' '),
    profile.id,
  ];
}

let heat: Promise<HeatReader> | undefined;

async function conditionsNow({ lockFile }: ModelsConfig): Promise<Conditions> {
  heat ??= import('../hardware/heat.ts').then(({ openHeat }) => openHeat());
  const { celsius, throttling } = await (await heat).read();
  const throttled = throttling?.now ?? [];
  return { celsius, throttled, lockedBy: await lockOwner(lockFile) };
}

/** The first line of the lock file says who holds it. */
async function lockOwner(path: string | undefined): Promise<string | null> {
  if (path === undefined) return null;
  try {
    const [line = ''] = (await readFile(path, 'utf8')).split('\n');
    return line.trim() === '' ? path : line.trim().slice(0, 100);
  } catch (error) {
    // One that cannot be read is a lock, too.
    return codeOf(error) === 'ENOENT' ? null : path;
  }
}

function healthBy(command: string, models: ModelsConfig, env: DaemonJobsOptions['env']) {
  return (model: string, signal: AbortSignal): Promise<Health> => {
    const timeoutMs = models.commandSeconds * 1000;
    return runShell(command, { env: { ...env, EDGEFIT_MODEL: model }, timeoutMs, signal });
  };
}

/** In the twin, and with what it was fitted with until it is measured again. */
async function tellSwitch(
  model: string,
  release: Release | null,
  link: string,
  { device, deviceId, telemetry, log }: DaemonJobsOptions,
): Promise<void> {
  const parts = device();
  await parts?.twin.setActiveModel(release === null ? null : activeOf(release));
  await parts?.session.publish(parts.twin.message(new Date()));
  try {
    const fitted = release === null ? null : await readDecision(link);
    await telemetry.switched(model, release, fitted);
    if (parts !== null) await tellFitted(parts, deviceId, model, fitted);
  } catch (error) {
    // Figures that cannot be kept are no reason to take the model back.
    log.logger.warn({ model, why: messageOf(error) }, 'the figures of the model are not told');
  }
}

function activeOf(release: Release): ActiveModel {
  return {
    name: release.model,
    version: release.version,
    precision: release.precision,
    digest: release.digest,
    releaseCounter: release.releaseCounter,
  };
}

/** Its failure is written down; whether the application is well, its health command says. */
async function tellApplication(
  model: string,
  release: Release | null,
  link: string,
  { config: { models }, env, log }: DaemonJobsOptions,
): Promise<void> {
  if (models.switchCommand === undefined) return;
  const { ok, text } = await runShell(models.switchCommand, {
    env: {
      ...env,
      EDGEFIT_MODEL: model,
      EDGEFIT_MODEL_FILE: release === null ? '' : join(link, release.file),
    },
    timeoutMs: models.commandSeconds * 1000,
  });
  if (!ok) log.logger.warn({ model, text }, 'models.switchCommand failed');
}

/** As many of the newest lines as fit. */
function tailOf(log: Log, lines: number): readonly string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const line of log.tail(lines).toReversed()) {
    bytes += 2 * Buffer.byteLength(line);
    if (bytes > MAX_LOG_BYTES) break;
    kept.push(line);
  }
  return kept.toReversed();
}
