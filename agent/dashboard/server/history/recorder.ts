import type { JobRecord } from '../../../contracts/job.ts';
import { ONLINE_METRIC } from '../../../contracts/presence.ts';
import { messageOf } from '../../../util/errors.ts';
import type { BenchArrival, FleetView, HistoryStore, Sample } from '../ports.ts';
import { MetricNames } from './metric-names.ts';

const FLUSH_MS = 1000;
const PRUNE_MS = 10 * 60_000;
/** What may wait for the disk: at 10,000 messages a second two seconds' worth, some ten megabytes. */
const MAX_SAMPLES = 20_000;
const MAX_JOBS = 5000;
/** Reports are large. */
const MAX_BENCHES = 100;
/** More than a batch of these at once would hold up requests for the history. */
const MAX_BATCH = 5000;

/** A disk or a database that is gone is gone for a while. */
const TELL_AGAIN_MS = 60_000;
/** One that restarts is back within a minute of tries; what it never takes must not stop the rest. */
const MAX_TRIES = 60;

interface Writing {
  readonly samples: Sample[];
  readonly jobs: JobRecord[];
  readonly benches: BenchArrival[];
}

/**
 * Writes to the history what happens in the fleet, a batch at a time. What comes faster than the disk
 * takes it is dropped, the oldest first, and counted: memory is bounded and nobody waits. What could
 * not be written is tried again: a database may restart.
 */
export class Recorder {
  readonly #store: HistoryStore;
  readonly #fleet: FleetView;
  readonly #nowMs: () => number;
  readonly #warn: (message: string) => void;
  readonly #states = new Map<string, string>();
  readonly #names = new MetricNames();
  #samples: Sample[] = [];
  #jobs: JobRecord[] = [];
  #benches: BenchArrival[] = [];
  #dropped = 0;
  #told = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #tries = 0;
  #isWriting = false;
  #busy: Promise<void> = Promise.resolve();
  #stop: () => void = () => undefined;

  constructor(parts: {
    readonly store: HistoryStore;
    readonly fleet: FleetView;
    readonly nowMs: () => number;
    readonly warn: (message: string) => void;
  }) {
    this.#store = parts.store;
    this.#fleet = parts.fleet;
    this.#nowMs = parts.nowMs;
    this.#warn = parts.warn;
  }

  /** Messages that were not kept, or not even read. */
  get dropped(): number {
    return this.#dropped + this.#fleet.refused();
  }

  start(): void {
    const end = this.#fleet.listen({
      sample: (sample) => this.#addSample(sample),
      device: (deviceId) => this.#addState(deviceId),
      complete: () => this.#addStates(),
      job: (record) => (this.#dropped += pushBounded(this.#jobs, record, MAX_JOBS)),
      bench: (bench) => (this.#dropped += pushBounded(this.#benches, bench, MAX_BENCHES)),
    });
    const flush = setInterval(() => {
      // A database that does not answer takes seconds to say so: nothing queues up behind it.
      if (!this.#isWriting) void this.flush();
    }, FLUSH_MS);
    const prune = setInterval(() => void this.#prune(), PRUNE_MS);
    void this.#prune();
    this.#stop = () => {
      end();
      clearInterval(flush);
      clearInterval(prune);
    };
  }

  /** Writes what waits, and waits for it. */
  async stop(): Promise<void> {
    this.#stop();
    await this.#busy;
    await this.flush();
  }

  /** One batch after the other; what comes meanwhile waits for the next. */
  flush(): Promise<void> {
    this.#isWriting = true;
    this.#busy = this.#busy
      .then(() => this.#write())
      .finally(() => {
        this.#isWriting = false;
      });
    return this.#busy;
  }

  async #write(): Promise<void> {
    let rest = { jobs: this.#jobs, benches: this.#benches };
    let samples = this.#samples;
    [this.#jobs, this.#benches, this.#samples] = [[], [], []];
    try {
      do {
        // oxlint-disable-next-line no-await-in-loop -- one after the other: memory is bounded
        await this.#store.write({ samples: samples.slice(0, MAX_BATCH), ...rest });
        samples = samples.slice(MAX_BATCH);
        rest = { jobs: [], benches: [] };
      } while (samples.length > 0);
      this.#tries = 0;
    } catch (error) {
      this.#putBack({ samples, ...rest });
      this.#tell(`the history could not be written: ${messageOf(error)}`);
      return;
    }
    const { dropped } = this;
    if (dropped > this.#told) {
      this.#tell(`${dropped - this.#told} messages were not kept: too many at once`);
    }
  }

  /** Before what has come meanwhile; what was tried first for long, and the oldest of too much, goes. */
  #putBack({ samples, jobs, benches }: Writing): void {
    this.#tries += 1;
    if (this.#tries >= MAX_TRIES) {
      this.#tries = 0;
      const lost = samples.splice(0, MAX_BATCH);
      this.#dropped += lost.length + jobs.length + benches.length;
      jobs.length = 0;
      benches.length = 0;
    }
    this.#samples = this.#newest([...samples, ...this.#samples], MAX_SAMPLES);
    this.#jobs = this.#newest([...jobs, ...this.#jobs], MAX_JOBS);
    this.#benches = this.#newest([...benches, ...this.#benches], MAX_BENCHES);
  }

  #newest<T>(list: T[], most: number): T[] {
    this.#dropped += Math.max(0, list.length - most);
    return list.slice(-most);
  }

  /** Once in a while: what happens every second must not fill the log. */
  #tell(message: string): void {
    const now = performance.now();
    if (now - this.#toldMs < TELL_AGAIN_MS) return;
    this.#toldMs = now;
    this.#told = this.dropped;
    this.#warn(message);
  }

  async #prune(): Promise<void> {
    this.#busy = this.#busy
      .then(() => this.#store.prune(this.#nowMs()))
      .catch((error: unknown) => {
        this.#warn(`the history could not be tidied: ${messageOf(error)}`);
      });
    await this.#busy;
  }

  #addSample(sample: Sample): void {
    const values = this.#names.admit(sample.deviceId, sample.values);
    if (Object.keys(values).length === 0) {
      this.#dropped += 1;
      return;
    }
    this.#samples.push({ ...sample, values });
    // In one go: taking one from the front of a long list for each that comes is slow.
    if (this.#samples.length < 2 * MAX_SAMPLES) return;
    this.#dropped += MAX_SAMPLES;
    this.#samples.splice(0, MAX_SAMPLES);
  }

  #addStates(): void {
    for (const { deviceId } of this.#fleet.rows()) this.#addState(deviceId);
  }

  /** While the fleet is being read, and without a broker, nobody knows who is there. */
  #addState(deviceId: string): void {
    if (!this.#fleet.isComplete()) return;
    const state = this.#fleet.row(deviceId)?.state;
    if (state === this.#states.get(deviceId)) return;
    if (state === undefined) this.#states.delete(deviceId);
    else this.#states.set(deviceId, state);
    const online = state === 'online' || state === 'draining' ? 1 : 0;
    const values = { [ONLINE_METRIC]: online };
    this.#addSample({ deviceId, stream: 'agent', ts: this.#nowMs(), values });
  }
}

/** Adds to a list, and drops its oldest where there are too many: how many. */
function pushBounded<T>(list: T[], value: T, most: number): number {
  list.push(value);
  if (list.length <= most) return 0;
  list.shift();
  return 1;
}
