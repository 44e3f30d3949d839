import type { ServerResponse } from 'node:http';
import type { DashboardEventName, DashboardEvents } from '../../contracts/dashboard.ts';
import type { JobRecord } from '../../contracts/job.ts';
import type { Rollout } from '../../contracts/rollout.ts';
import type { BenchArrival, FleetView, Sample } from './ports.ts';
import type { RowTexts } from './row-texts.ts';

/** Jobs and reports of one device that wait for a slow reader; beyond, the oldest goes. */
const MAX_WAITING = 100;
/** A page that is asleep comes back and connects anew. */
const MAX_STALLED_BEATS = 8;

/**
 * One reader of GET /api/events. What happens is noted by what it is about and sent once a second, so
 * that a reader who is too slow gets the newest state later instead of everything that led to it: what
 * waits is bounded by what there is.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #fleet: FleetView;
  readonly #texts: RowTexts;
  /** The device that it looks at closely. */
  readonly deviceId: string | null;
  readonly #devices = new Set<string>();
  readonly #rollouts = new Map<string, Rollout>();
  readonly #rolloutsGone = new Set<string>();
  readonly #samples = new Map<string, Sample>();
  readonly #jobs = new Map<string, JobRecord>();
  readonly #benches = new Map<string, BenchArrival>();
  readonly #flags = new Set<'broker' | 'controllers' | 'complete'>();
  #stalledBeats = 0;

  constructor(
    response: ServerResponse,
    parts: {
      readonly fleet: FleetView;
      readonly texts: RowTexts;
      readonly deviceId: string | null;
    },
  ) {
    this.#response = response;
    this.#fleet = parts.fleet;
    this.#texts = parts.texts;
    this.deviceId = parts.deviceId;
  }

  noteDevice(deviceId: string): void {
    this.#devices.add(deviceId);
  }

  noteFlag(flag: 'broker' | 'controllers' | 'complete'): void {
    this.#flags.add(flag);
  }

  noteRollout(rollout: Rollout): void {
    this.#rolloutsGone.delete(rollout.rolloutId);
    this.#rollouts.set(rollout.rolloutId, rollout);
  }

  noteRolloutGone(rolloutId: string): void {
    this.#rollouts.delete(rolloutId);
    this.#rolloutsGone.add(rolloutId);
  }

  noteSample(sample: Sample): void {
    if (sample.deviceId !== this.deviceId) return;
    const before = this.#samples.get(sample.stream);
    const values = { ...before?.values, ...sample.values };
    this.#samples.set(sample.stream, { ...sample, values });
  }

  noteJob(record: JobRecord): void {
    if (record.deviceId === this.deviceId) setBounded(this.#jobs, record.jobId, record);
  }

  noteBench(bench: BenchArrival): void {
    if (bench.line.deviceId === this.deviceId) {
      setBounded(this.#benches, bench.line.benchId, bench);
    }
  }

  /** Sends what is new, unless the reader has not yet taken what was sent before. */
  flush(): void {
    // Of a response that has ended, `writableNeedDrain` is false whatever still waits in it.
    if (this.#response.writableEnded || this.#response.writableNeedDrain) return;
    const text = [...this.#parts()].join('');
    if (text !== '') this.#response.write(text);
  }

  /** Keeps proxies from giving up on a quiet connection, and gives up a reader that takes nothing. */
  beat(): void {
    if (this.#response.writableEnded) {
      this.#response.destroy();
      return;
    }
    if (!this.#response.writableNeedDrain) {
      this.#stalledBeats = 0;
      this.#response.write(': \n\n');
      return;
    }
    this.#stalledBeats += 1;
    if (this.#stalledBeats > MAX_STALLED_BEATS) this.#response.destroy();
  }

  /** A reader that takes nothing would keep the connection, and what waits for it, for ever. */
  end(): void {
    if (this.#response.writableNeedDrain) this.#response.destroy();
    else this.#response.end();
  }

  *#parts(): Iterable<string> {
    if (this.#flags.has('broker')) yield event('broker', this.#fleet.broker());
    if (this.#flags.has('controllers')) {
      yield event('controllers', { controllers: [...this.#fleet.controllers()] });
    }
    if (this.#flags.has('complete')) {
      yield event('complete', { complete: this.#fleet.isComplete() });
    }
    if (this.#devices.size > 0) yield this.#devicesPart();
    for (const rollout of this.#rollouts.values()) yield event('rollout', { rollout });
    for (const rolloutId of this.#rolloutsGone) yield event('rolloutGone', { rolloutId });
    for (const { deviceId, stream, ts, values } of this.#samples.values()) {
      yield event('telemetry', { deviceId, stream, ts, values: { ...values } });
    }
    for (const job of this.#jobs.values()) yield event('job', { job });
    for (const { line } of this.#benches.values()) yield event('bench', { bench: line });
    this.#clear();
  }

  #devicesPart(): string {
    const changed: string[] = [];
    const gone: string[] = [];
    for (const deviceId of this.#devices) {
      const row = this.#fleet.row(deviceId);
      if (row === null) gone.push(deviceId);
      else changed.push(this.#texts.text(row));
    }
    return named('devices', `{"changed":[${changed.join(',')}],"gone":${JSON.stringify(gone)}}`);
  }

  #clear(): void {
    this.#flags.clear();
    this.#devices.clear();
    this.#rollouts.clear();
    this.#rolloutsGone.clear();
    this.#samples.clear();
    this.#jobs.clear();
    this.#benches.clear();
  }
}

function setBounded<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_WAITING && oldest !== undefined) map.delete(oldest);
}

function event<Name extends DashboardEventName>(name: Name, data: DashboardEvents[Name]): string {
  return named(name, JSON.stringify(data));
}

/** JSON has no line ends of its own, so one data line is enough. */
function named(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`;
}
