import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { jobTypes, type JobPhase, type JobRecord } from '../../contracts/job.ts';
import type { Expiries } from '../../deploy/tuf/trusted-targets.ts';
import type { ReadCounters, VerifyDocument } from '../device/twin.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { removeDurably } from '../../util/durable.ts';
import { messageOf } from '../../util/errors.ts';
import { isClockSynchronised } from '../../hardware/clock-sync.ts';
import { Counters } from './counters.ts';
import { decisionOf, decisionsIn } from './decisions.ts';
import { DeviceClock } from './device-clock.ts';
import { DocumentTrust } from './document-trust.ts';
import type { Moment } from './entry.ts';
import { Journal } from './journal.ts';
import { TrustedMetadata } from './metadata.ts';
import { measureDeployed, type PeriodicOptions } from './periodic.ts';
import { messageOfRecord, openPort, type JobsDoor } from './port.ts';
import type { PhaseHandler } from './phase-work.ts';
import { JobRunner } from './runner.ts';
import { agentRunner } from './work/child.ts';
import { Children } from './work/children.ts';
import type { RunAgent, SelfUpdate, WorkContext } from './work/context.ts';
import { phaseHandlers } from './work/handlers.ts';

/** What only whoever builds the daemon can give. */
type Surroundings = Pick<
  WorkContext,
  | 'deviceClass'
  | 'conditions'
  | 'onSwitched'
  | 'onBench'
  | 'applySettings'
  | 'diagnostics'
  | 'health'
  | 'download'
>;

type Handlers = Readonly<Record<JobPhase, PhaseHandler>>;

export interface JobServiceOptions extends Surroundings {
  readonly deviceId: string;
  /** The state folder: journal, counters, models and packages are below it. */
  readonly state: string;
  readonly repository: string | null;
  readonly refreshMs: number;
  /** The built command line of the agent, which children run. */
  readonly program: string;
  /** How the agent replaces itself; `selfupdate` jobs are refused without. */
  readonly selfUpdate?: SelfUpdate | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What stands in for those children: a simulated fleet cannot have one for each device. */
  readonly runAgent?: RunAgent;
  readonly moment: () => Moment;
  /** Sends a message when there is a connection; must not throw. */
  readonly publish: (message: OutgoingMessage) => void;
  /** Other keys count than before. */
  readonly onKeys: () => void;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
  readonly samplesBytes?: number;
  /** Told of every record of a job, also of one that is only told again. */
  readonly onRecord?: (record: JobRecord) => void;
  /** How often is looked again at what a job waits for. */
  readonly pollMs?: number;
  /** Pause before a job goes on whose journal could not be written. */
  readonly retryMs?: number;
  /** Puts something around the work of the phases: tests put faults there. */
  readonly wrap?: (handlers: Handlers) => Handlers;
  /** The machine's clock; tests set it elsewhere. */
  readonly systemMs?: () => number;
}

export interface JobService {
  readonly port: JobsDoor;
  readonly verify: VerifyDocument;
  readonly keyIds: () => readonly string[];
  /** For the twin: whoever signs the next document counts on from here. */
  readonly counters: ReadCounters;
  /** When the trusted metadata expires; null when there is none. */
  readonly expiries: () => Expiries | null;
  /** Takes up open jobs and looks at the repository now and then. */
  readonly start: () => void;
  /** New metadata is there. */
  readonly refresh: () => Promise<void>;
  /** Measures every deployed model (`onBench`); a failure goes to the log. */
  readonly measure: (options: PeriodicOptions) => Promise<void>;
  /** Resolves when every phase has ended; the jobs go on with the next start. */
  readonly stop: () => Promise<void>;
}

const POLL_MS = 5000;
/** After a refresh that failed, and for documents that could not be kept. */
const RETRY_MS = 60_000;

/** Everything that jobs need on a device, read from its state folder. Throws system errors. */
export async function openJobService(options: JobServiceOptions): Promise<JobService> {
  const { deviceId, state, repository, log, moment, wrap = (handlers) => handlers } = options;
  const folders = foldersIn(state);
  const children = new Children(folders.children);
  await children.endOrphans();
  // Whatever a former run was in the middle of is made again.
  await removeDurably(folders.scratch);
  await mkdir(folders.scratch, { recursive: true });
  const warn = (message: string) => {
    log.warn({}, message);
  };
  const counters = await Counters.open(folders.counters, warn);
  const clock = await openClock(folders, options);
  const journal = await Journal.open(folders.journal, (file, why) => {
    log.warn({ file, why }, 'a damaged journal file was set aside');
  });
  const nowMs = () => clock.nowMs();
  const onTrusted = () => clock.persist();
  const metadata = new TrustedMetadata({ folder: folders.tuf, nowMs, onTrusted });
  const child = { program: options.program, env: options.env, scratch: folders.scratch, children };
  const context: WorkContext = {
    ...options,
    onSwitched: async (model, release, link) => {
      await options.onSwitched(model, release, link);
      await tellDecision(model, folders.models, options);
    },
    folders,
    counters,
    nowMs,
    metadata,
    runAgent: options.runAgent ?? agentRunner(child),
    runProgram: ({ node, main }, args, signal) =>
      agentRunner({ ...child, node, program: main })(args, signal),
    selfUpdate: options.selfUpdate ?? null,
    pollMs: options.pollMs ?? POLL_MS,
    samplesBytes: options.samplesBytes ?? 0,
  };
  const runner = new JobRunner({
    deviceId,
    journal,
    handlers: wrap(phaseHandlers(context)),
    ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
    publish: (record) => {
      say(record, options);
    },
    moment,
    onForget: ({ counter }) => counters.raiseLowestJob(counter + 1),
    onError: (error, jobId) => {
      log.warn({ jobId, error }, 'a job cannot be kept in the journal');
    },
  });
  const trust = new DocumentTrust({
    deviceId,
    metadata,
    repository,
    counters,
    nowMs,
    warn,
  });
  await trust.load();
  const types = jobTypes.filter((type) => type !== 'selfupdate' || context.selfUpdate !== null);
  const decisions = () => decisionsIn(deviceId, folders.models);
  const port = openPort({ ...options, runner, trust, counters, types, decisions });
  return serve(options, { runner, trust, port, clock, counters, context });
}

function foldersIn(state: string) {
  const scratch = join(state, 'scratch');
  return {
    journal: join(state, 'jobs'),
    counters: join(state, 'counters.json'),
    clock: join(state, 'clock.json'),
    models: join(state, 'models'),
    packages: join(state, 'packages'),
    cache: join(state, 'fitted'),
    evaluation: join(state, 'evaluation'),
    recorded: join(state, 'recorded'),
    tuf: join(state, 'tuf'),
    children: join(state, 'children'),
    scratch,
  };
}

function openClock(folders: ReturnType<typeof foldersIn>, options: JobServiceOptions) {
  const { systemMs } = options;
  return DeviceClock.open({
    path: folders.clock,
    signedMs: async () => {
      const { lastSignedMs } = await import('../../deploy/tuf/refresh.ts');
      // What cannot be read says nothing of the time.
      return lastSignedMs(folders.tuf).catch(() => 0);
    },
    isSynchronised: isClockSynchronised,
    ...(systemMs === undefined ? {} : { systemMs }),
  });
}

function say(record: JobRecord, { deviceId, publish, onRecord, log }: JobServiceOptions): void {
  onRecord?.(record);
  const { jobId, status, phase, outcome, reason } = record;
  if (record.progress === null) log.info({ jobId, status, phase, outcome, reason }, 'job');
  publish(messageOfRecord(deviceId, record));
}

/** A decision that cannot be told is no reason to take the model back. */
async function tellDecision(
  model: string,
  models: string,
  { deviceId, publish, log }: JobServiceOptions,
): Promise<void> {
  try {
    publish(await decisionOf(deviceId, models, model));
  } catch (error) {
    log.warn({ model, why: messageOf(error) }, 'the decision on the model is not told');
  }
}

interface Parts {
  readonly runner: JobRunner;
  readonly trust: DocumentTrust;
  readonly port: JobsDoor;
  readonly clock: DeviceClock;
  readonly counters: Counters;
  readonly context: WorkContext;
}

function serve(options: JobServiceOptions, parts: Parts): JobService {
  const { runner, trust, port, clock, counters, context } = parts;
  const { repository, refreshMs, onKeys, log } = options;
  let timer: NodeJS.Timeout | undefined;
  let retrying: NodeJS.Timeout | undefined;
  let stopped = false;
  const refresh = async () => {
    const before = trust.keyIds().join();
    const isFresh = await trust.refresh();
    if (trust.keyIds().join() !== before) onKeys();
    await port.retry();
    await clock.persist();
    return isFresh;
  };
  const keepFresh = async () => {
    const isFresh = await refresh().catch((error: unknown) => {
      log.warn({ error }, 'the trusted metadata could not be kept');
      return false;
    });
    if (stopped) return;
    const waitMs = isFresh || repository === null ? refreshMs : Math.min(RETRY_MS, refreshMs);
    timer = setTimeout(() => void keepFresh(), waitMs);
    timer.unref();
  };
  return {
    port,
    verify: (document, type) => trust.verify(document, type),
    keyIds: () => trust.keyIds(),
    counters: () => ({ job: counters.document('job'), epoch: counters.epoch() }),
    expiries: () => trust.expiries(),
    start: () => {
      runner.start();
      retrying = setInterval(() => void port.retry(), RETRY_MS);
      retrying.unref();
      void keepFresh();
    },
    refresh: async () => {
      await refresh();
    },
    measure: (periodic) => measureDeployed(periodic, { context, runner, log }),
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      clearInterval(retrying);
      await runner.stop();
    },
  };
}
