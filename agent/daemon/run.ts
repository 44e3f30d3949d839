import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resolveBroker } from '../config/credentials.ts';
import { foldersOf } from '../config/folders.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../contracts/config.ts';
import type { Facts } from '../contracts/facts.ts';
import type { Settings } from '../contracts/fleet-twin.ts';
import type { BrokerSettings, ProtocolVersion } from '../fleet/broker-link.ts';
import type { Device } from '../fleet/device/device.ts';
import { noJobs } from '../fleet/device/jobs-port.ts';
import { refuse } from '../fleet/device/refusals.ts';
import type { JobService } from '../fleet/jobs/service.ts';
import { identityFiles, readIdentityName } from '../fleet/identity/store.ts';
import { messageOf } from '../util/errors.ts';
import { makeFolderDurably, removeUnfinishedFiles } from '../util/files.ts';
import { answersOf } from './answers.ts';
import { watchCertificates } from './certificate-watch.ts';
import { eventLoopProbe, removeHeartbeat, workerProbe } from './liveness.ts';
import { openLog } from './log.ts';
import type { Log } from './log.ts';
import { lockFolder } from './only-one.ts';
import { openNotifier } from './notify.ts';
import { checkStateFolder } from './state-folder.ts';
import { startWatchdog } from './watchdog.ts';

export interface DaemonOptions {
  readonly loaded: LoadedConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Version of the agent. */
  readonly version: string;
  /** Ends the daemon. */
  readonly signal: AbortSignal;
  /** What children run instead of the agent itself. For tests of what surrounds them. */
  readonly program?: string;
}

/** Whatever hangs while stopping, the process is gone before systemd sends SIGKILL. */
const STOP_MS = 4000;

/**
 * The long-running agent: builds the rooms, starts them in order, waits for the signal and stops
 * them in reverse. Throws ConfigError, FileError and DaemonError when it cannot start.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { loaded, env, version, signal } = options;
  const { config, file } = loaded;
  const log = openLog(config.logLevel);
  const { logger } = log;
  const folders = foldersOf(config, env);
  await checkStateFolder(folders.state, loaded);
  await makeFolderDurably(folders.state);
  const unlock = await lockFolder(folders.state);
  await tidy(folders.state, log);
  const broker = await resolveBroker(loaded, env, folders.state);
  const notifier = openNotifier({ env, warn: (message) => logger.warn(message) });
  const stopWatchdog = startWatchdog({
    notifier,
    env,
    probes: [eventLoopProbe, workerProbe(folders.runtime)],
    onProblem: (problem) => logger.error({ problem }, 'not alive: no ping for the watchdog'),
  });
  try {
    logger.info({ version, config: file, state: folders.state }, 'started');
    if (broker === null) logger.warn('no mqtt.url is configured: working without a fleet');
    const restart = new AbortController();
    for (const problem of broker?.exposed ?? []) logger.warn({ problem }, 'a secret is not kept');
    const parts = await startParts(options, broker?.settings ?? null, folders.state, log, (why) => {
      restart.abort(new Error(why));
    });
    // Loaded only where it was asked for.
    const stopRecording = config.calibration.record
      ? await (await import('./recording.ts')).startRecording({ config, folders, log })
      : async () => undefined;
    await notifier.send('READY=1', 'STATUS=running');
    const end = AbortSignal.any([signal, restart.signal]);
    await untilAborted(end);
    logger.info({ reason: messageOf(end.reason) }, 'stopping');
    const impatient = setTimeout(() => process.exit(1), STOP_MS);
    await Promise.all([notifier.send('STOPPING=1'), parts.stop(), stopRecording()]);
    clearTimeout(impatient);
  } finally {
    stopWatchdog();
    await removeHeartbeat(folders.runtime);
    unlock();
  }
  logger.info('stopped');
}

/** What was being written when a daemon was killed. A disk that refuses does not keep this one away. */
async function tidy(state: string, { logger }: Log): Promise<void> {
  try {
    for (const folder of [state, join(state, 'tuf'), join(state, 'agents')]) {
      // oxlint-disable-next-line no-await-in-loop -- three
      await removeUnfinishedFiles(folder);
    }
  } catch (error) {
    logger.warn({ why: messageOf(error) }, 'unfinished files could not be removed');
  }
}

/** Jobs and the device at its broker: either can do without the other, and each tells the other. */
async function startParts(
  { loaded, env, version, program }: DaemonOptions,
  broker: BrokerSettings | null,
  state: string,
  log: Log,
  restart: (why: string) => void,
): Promise<{ readonly stop: () => Promise<void> }> {
  const { config } = loaded;
  const { readBootId } = await import('../hardware/boot-id.ts');
  const self: Self = {
    config,
    state,
    log,
    deviceId: await nameDevice(config, state),
    agent: version,
    bootId: await readBootId(),
    facts: onceFacts(),
    onSettings: (settings) => {
      log.logger.level = settings.logLevel ?? config.logLevel;
    },
  };
  let device: Device | null = null;
  let jobs: JobService | null = null;
  const { openDaemonTelemetry } = await import('./telemetry.ts');
  const telemetry = await openDaemonTelemetry({
    ...self,
    device: () => device,
    jobs: () => jobs,
  });
  if (takesJobs(config, state)) {
    const { openDaemonJobs } = await import('./jobs.ts');
    jobs = await openDaemonJobs({
      ...self,
      env,
      program,
      restart,
      telemetry,
      onKeys: () => {
        device?.onKeys().catch((error: unknown) => {
          log.logger.warn({ why: messageOf(error) }, 'the desired twin could not be kept');
        });
      },
      device: () => device,
    });
  }
  const certificates = watchCertificates({
    read: () => resolveBroker(loaded, env, state),
    warn: (fields, message) => log.logger.warn(fields, message),
  });
  if (broker !== null) {
    const renew = async () => (await certificates.read())?.settings ?? broker;
    device = await startOnline({ broker, renew }, self, jobs);
  }
  jobs?.start();
  await telemetry.start();
  return {
    stop: async () => {
      certificates.stop();
      await Promise.all([telemetry.stop(), jobs?.stop(), device?.stop()]);
    },
  };
}

/** A device that was enrolled without a root of trust, and never did a job, needs nothing of it. */
function takesJobs({ models }: Config, state: string): boolean {
  const { rootFile } = identityFiles(state);
  return models.repository !== undefined || existsSync(rootFile) || existsSync(join(state, 'jobs'));
}

/** What this daemon is. */
interface Self {
  readonly config: Config;
  readonly state: string;
  readonly log: Log;
  readonly deviceId: string;
  readonly agent: string;
  readonly bootId: string | null;
  readonly facts: () => Promise<Facts>;
  readonly onSettings: (settings: Settings) => void;
}

async function startOnline(
  {
    broker,
    renew,
  }: { readonly broker: BrokerSettings; readonly renew: () => Promise<BrokerSettings> },
  self: Self,
  jobs: JobService | null,
): Promise<Device> {
  const { config, log } = self;
  const { logger } = log;
  const { mqtt, outbox, tags } = config;
  // Loaded only with a broker: the MQTT library is the largest part of the daemon.
  const { startDevice } = await import('../fleet/device/device.ts');
  return startDevice({
    ...self,
    connect: {
      broker,
      renewBroker: renew,
      protocols: PROTOCOLS[mqtt.version],
      keepAliveSeconds: mqtt.keepAliveSeconds,
      expirySeconds: mqtt.sessionExpirySeconds,
      timeoutMs: mqtt.timeoutSeconds * 1000,
      backoff: {
        minMs: mqtt.reconnectMinSeconds * 1000,
        maxMs: mqtt.reconnectMaxSeconds * 1000,
      },
    },
    outboxLimits: outbox,
    tags,
    // Nothing can be verified before there is a root of trust, so nothing is accepted.
    verify: jobs?.verify ?? (async () => refuse('UNVERIFIED', 'this agent has no trusted keys')),
    keyIds: () => jobs?.keyIds() ?? [],
    jobs: jobs?.port ?? noJobs,
    counters: jobs?.counters,
    answers: (parts) => answersOf(log, parts, () => jobs?.expiries() ?? null),
    onAnnouncement: (group) => {
      logger.debug({ group }, 'new metadata is announced');
      void jobs?.refresh();
    },
    log: {
      info: (fields, message) => logger.info(fields, message),
      warn: (fields, message) => logger.warn(fields, message),
    },
  });
}

const PROTOCOLS: Readonly<Record<Config['mqtt']['version'], readonly ProtocolVersion[]>> = {
  auto: [5, 4],
  '5': [5],
  '3.1.1': [4],
};

/** The configured name, else the one it was enrolled under, else the machine's own. */
async function nameDevice({ deviceId }: Config, state: string): Promise<string> {
  if (deviceId !== undefined) return deviceId;
  const enrolled = (await readIdentityName(state))?.deviceId;
  if (enrolled !== undefined) return enrolled;
  const { defaultDeviceId } = await import('../hardware/device-id.ts');
  return defaultDeviceId();
}

/** The probe of this machine, made when first asked for, and again after one that failed. */
export function onceFacts(probeHere = probeMachine): () => Promise<Facts> {
  let facts: Promise<Facts> | null = null;
  return () => {
    facts ??= probeHere().catch((error: unknown) => {
      facts = null;
      throw error;
    });
    return facts;
  };
}

async function probeMachine(): Promise<Facts> {
  const { probe } = await import('../hardware/probe.ts');
  return probe();
}

/** Keeps the process alive until then: a pending promise alone would not. */
function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const keep = setInterval(() => undefined, 2 ** 30);
    const end = () => {
      clearInterval(keep);
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
  });
}
