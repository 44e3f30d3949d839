import type { IPublishPacket } from 'mqtt';
import type { BrokerState, DeviceRow } from '../../../contracts/dashboard.ts';
import { jobRecordSchema } from '../../../contracts/job.ts';
import type { ControllerStatus, Rollout } from '../../../contracts/rollout.ts';
import { telemetryStreams } from '../../../contracts/ids.ts';
import type { BrokerSettings } from '../../../fleet/broker-link.ts';
import { topicFilter, topicFor } from '../../../fleet/protocol/topics.ts';
import { startFleetLink, type FleetLink } from '../../../fleet/roster/fleet-link.ts';
import type { FleetMessage } from '../../../fleet/roster/read.ts';
import { messageOf } from '../../../util/errors.ts';
import type { DeviceDocuments, FleetListener, FleetView } from '../ports.ts';
import { Admission, ADMISSION, BENCH_ADMISSION, type AdmissionLimits } from './admission.ts';
import { readBench } from './benches.ts';
import { Controllers, type Changed } from './controllers.ts';
import { DeviceReader, NOTHING } from './device-reader.ts';
import { Listeners } from './listeners.ts';
import { ApiRows } from './row.ts';
import { SampleTimes } from './sample-time.ts';

export interface LiveFleetOptions {
  readonly broker: BrokerSettings;
  readonly clientId: string;
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  readonly admission?: AdmissionLimits;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
}

type SeenTelemetry = Extract<FleetMessage, { kind: 'telemetry' }>['value'];

const OTHERS = [topicFilter('rollout'), topicFilter('controllerStatus'), topicFilter('bench')];

const stateTopic = (rollout: string) => topicFor('rollout', { rollout });

/** The fleet over one connection to the broker. `stop` ends it. */
export class LiveFleet implements FleetView {
  readonly #options: LiveFleetOptions;
  readonly #link: FleetLink;
  readonly #listeners = new Listeners();
  readonly #rows = new ApiRows();
  readonly #controllers = new Controllers();
  readonly #times = new SampleTimes();
  readonly #admission: Admission;
  readonly #benchAdmission: Admission;
  readonly #reader: DeviceReader;
  #isConnected = false;
  #sinceMs: number;
  #reason: string | null = 'not connected yet';

  /** Starts to connect at once, and tries for ever. */
  constructor(options: LiveFleetOptions) {
    this.#options = options;
    this.#sinceMs = options.nowMs();
    this.#admission = new Admission(options.admission ?? ADMISSION, options.nowMs);
    this.#reader = new DeviceReader(options);
    this.#benchAdmission = new Admission(BENCH_ADMISSION, options.nowMs);
    const { broker, clientId, timeoutMs, nowMs, log } = options;
    this.#link = startFleetLink({
      broker,
      clientId,
      timeoutMs,
      now: nowMs,
      filters: OTHERS,
      admit: (topic) => this.#admit(topic),
      onOther: (packet) => this.#takeOther(packet),
      onMessage: (message, { nowMs: arrivalMs }) => this.#takeMessage(message, arrivalMs),
      onChanged: (ids) => this.#changed(ids),
      onConnected: (connection) => {
        this.#broker(true, null);
        void connection.ended.then(({ why }) => this.#broker(false, why));
        void this.#readControllers();
      },
      onReconciled: () => this.#listeners.each(({ complete }) => complete?.()),
      log: {
        info: log.info,
        warn: (fields, message) => {
          if (!this.#isConnected && 'why' in fields) this.#reason = String(fields.why);
          log.warn(fields, message);
        },
      },
    });
  }

  *rows(): Iterable<DeviceRow> {
    for (const row of this.#link.roster.rows()) yield this.#rows.of(row);
  }

  row(deviceId: string): DeviceRow | null {
    const row = this.#link.roster.get(deviceId);
    return row === undefined ? null : this.#rows.of(row);
  }

  isRevoked(deviceId: string): boolean {
    return this.#link.roster.isRevoked(deviceId);
  }

  isComplete(): boolean {
    return this.#link.complete();
  }

  broker(): BrokerState {
    return {
      connected: this.#isConnected,
      since: new Date(this.#sinceMs).toISOString(),
      url: this.#options.broker.address.display,
      reason: this.#isConnected ? null : this.#reason,
    };
  }

  controllers(): readonly ControllerStatus[] {
    return this.#controllers.controllers();
  }

  rollouts(): readonly Rollout[] {
    return this.#controllers.rollouts();
  }

  rollout(rolloutId: string): Rollout | null {
    return this.#controllers.rollout(rolloutId);
  }

  /** A rollout as a controller has answered: it may come before the record. */
  takeRollout(answer: Rollout): void {
    this.#tell(this.#controllers.takeRollout(answer));
  }

  listen(listener: Partial<FleetListener>): () => void {
    return this.#listeners.add(listener);
  }

  refused(): number {
    return this.#admission.refused + this.#benchAdmission.refused + this.#link.overtaken();
  }

  async documents(deviceId: string): Promise<DeviceDocuments> {
    return this.#isConnected ? this.#reader.read(deviceId) : NOTHING;
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  #broker(isConnected: boolean, reason: string | null): void {
    this.#isConnected = isConnected;
    this.#reason = reason;
    this.#sinceMs = this.#options.nowMs();
    this.#listeners.each(({ broker, complete }) => {
      broker?.();
      complete?.();
    });
  }

  /** Live subscriptions bring nothing that is kept, so it is asked for. */
  async #readControllers(): Promise<void> {
    const known = this.rollouts().map(({ rolloutId }) => rolloutId);
    try {
      const kept = await this.#link.readRetained([
        topicFilter('rollout'),
        topicFilter('controllerStatus'),
      ]);
      for (const [topic, payload] of kept) this.#takeController(topic, payload);
      await this.#forgetRollouts(known.filter((rollout) => !kept.has(stateTopic(rollout))));
    } catch (error) {
      this.#options.log.warn({ why: messageOf(error) }, 'rollouts could not be read');
    }
  }

  /** Those that were taken away while there was no connection; asked for by name, to be sure. */
  async #forgetRollouts(missing: readonly string[]): Promise<void> {
    if (missing.length === 0) return;
    const kept = await this.#link.readRetained(missing.map(stateTopic));
    for (const rollout of missing) {
      if (!kept.has(stateTopic(rollout))) this.#tell(this.#controllers.forget(rollout));
    }
  }

  #admit(topic: string): boolean {
    const parts = topic.split('/');
    return parts.at(-2) !== 'tele' || this.#admission.admit(parts[3] ?? '');
  }

  #takeOther({ topic, payload }: IPublishPacket): void {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const parts = topic.split('/');
    const deviceId = parts[3] ?? '';
    const isBench = parts.at(-2) === 'bench';
    if (isBench && (this.isRevoked(deviceId) || !this.#benchAdmission.admit(deviceId))) return;
    const bench = readBench(topic, bytes, this.#options.nowMs());
    if (bench !== null) this.#listeners.each((listener) => listener.bench?.(bench));
    else this.#takeController(topic, bytes);
  }

  #takeController(topic: string, payload: Uint8Array): void {
    this.#tell(this.#controllers.take(topic, payload));
  }

  #tell(changed: Changed | null): void {
    if (changed === null) return;
    this.#listeners.each(({ controllers, rollout, rolloutGone }) => {
      if (changed.kind === 'controllers') controllers?.();
      else if (changed.kind === 'gone') rolloutGone?.(changed.rolloutId);
      else rollout?.(changed.rollout);
    });
  }

  #takeMessage(message: FleetMessage, arrivalMs: number): void {
    if (this.isRevoked(message.deviceId)) return;
    if (message.kind === 'record' && message.value !== null) {
      const record = jobRecordSchema.safeParse(message.value).data;
      if (record !== undefined) this.#listeners.each(({ job }) => job?.(record));
    }
    if (message.kind === 'telemetry') this.#takeTelemetry(message.value, arrivalMs);
  }

  #takeTelemetry(message: SeenTelemetry, arrivalMs: number): void {
    const { deviceId, values, bootId, mono, delivery } = message;
    const stream = telemetryStreams.find((name) => name === message.stream);
    if (stream === undefined) return;
    const isReplay = delivery?.replay === true;
    const timed = { deviceId, ts: message.ts, mono: mono ?? null, bootId, isReplay };
    const ts = this.#times.dateOf(timed, arrivalMs);
    this.#listeners.each(({ sample }) => sample?.({ deviceId, stream, ts, values }));
  }

  #changed(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#link.roster.get(id) === undefined) this.#times.forget(id);
      this.#listeners.each(({ device }) => device?.(id));
    }
  }
}
