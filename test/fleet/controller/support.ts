import { connect } from 'mqtt';
import type { MqttClient } from 'mqtt';
import type {
  Rollout,
  RolloutResponse,
  RolloutSpecInput,
} from '../../../agent/contracts/rollout.ts';
import type { SigningKey } from '../../../agent/deploy/key-file.ts';
import { signDocument, verifyDocument } from '../../../agent/fleet/protocol/signed.ts';
import { until } from '../../daemon/support.ts';
import { card, record, status, twin, type Wire } from '../roster/messages.ts';
import { afterThisTest } from '../support/harness.ts';

export interface FakeJob {
  readonly deviceId: string;
  readonly jobId: string;
  readonly jobType: string;
  readonly epoch: number;
  readonly counter: number;
  readonly version: string | null;
}

/** Refused as a replay, by a device that would take this counter. */
interface Replayed {
  readonly lowestCounter: number;
}

/** What a device makes of a job; null: it is never heard of. */
export type Behaviour = (job: FakeJob) => 'succeeds' | 'fails' | 'works' | Replayed | null;

const JOB = /\/d\/([^/]+)\/dn\/job\/([^/]+)$/;
const QOS1 = { qos: 1 } as const;

/** Devices that are there and do jobs at once, all over one connection; counts what the broker brings. */
export class FakeFleet {
  /** Job documents by topic, in the order in which they came. */
  readonly documents = new Map<string, string[]>();
  readonly jobs: FakeJob[] = [];
  readonly cleared: string[] = [];
  behaviour: Behaviour = () => 'succeeds';
  readonly #client: MqttClient;
  readonly #key: SigningKey;

  private constructor(client: MqttClient, key: SigningKey) {
    this.#client = client;
    this.#key = key;
  }

  static async open(port: number, key: SigningKey): Promise<FakeFleet> {
    const client = connect({ port, host: '127.0.0.1', reconnectPeriod: 0, protocolVersion: 5 });
    afterThisTest(() => client.endAsync(true));
    const fleet = new FakeFleet(client, key);
    client.on('message', (topic, payload) => fleet.#hear(topic, payload));
    await client.subscribeAsync('edgefit/v1/d/+/dn/job/+', QOS1);
    return fleet;
  }

  async keep(...wires: readonly Wire[]): Promise<void> {
    const options = { ...QOS1, retain: true };
    await Promise.all(
      wires.map(([topic, document]) =>
        this.#client.publishAsync(topic, JSON.stringify(document), options),
      ),
    );
  }

  /** Devices that are online, of these classes in turn. */
  async add(ids: readonly string[], classes: readonly string[] = ['rpi-5']): Promise<void> {
    const ts = new Date().toISOString();
    const wires = ids.flatMap((id, at) => [
      card(id, { class: classes[at % classes.length] ?? '', keyIds: [this.#key.keyId] }),
      status(id, { ts, since: ts }),
      twin(id),
    ]);
    await this.keep(...wires);
  }

  #hear(topic: string, payload: Buffer): void {
    const [, deviceId = '', jobId = ''] = JOB.exec(topic) ?? [];
    if (payload.length === 0) {
      this.cleared.push(jobId);
      return;
    }
    this.documents.set(topic, [...(this.documents.get(topic) ?? []), payload.toString()]);
    const keyring = { keys: new Map([[this.#key.keyId, this.#key.public]]), threshold: 1 };
    const options = { type: 'job' as const, deviceId, keyring, nowMs: Date.now(), minCounter: 0 };
    const { signed } = verifyDocument(payload, options);
    const { model } = signed as { model?: { version?: string } };
    const job: FakeJob = {
      deviceId,
      jobId,
      jobType: String(signed['jobType']),
      epoch: Number(signed['epoch']),
      counter: signed.counter,
      version: model?.version ?? null,
    };
    this.jobs.push(job);
    void this.#work(job);
  }

  async #work(job: FakeJob): Promise<void> {
    const { deviceId, jobId, jobType } = job;
    const how = this.behaviour(job);
    if (how === null) return;
    if (typeof how === 'object') {
      const reason = { code: 'replayed', text: 'its counter is too low' };
      await this.keep(
        record(deviceId, jobId, { jobType, status: 'REJECTED', reason, result: how }),
      );
      return;
    }
    await this.keep(record(deviceId, jobId, { jobType, seq: 1 }));
    if (how !== 'works') await this.end(job, how);
  }

  /** A job comes to its end. */
  async end(job: FakeJob, how: 'succeeds' | 'fails'): Promise<void> {
    const { deviceId, jobId, jobType } = job;
    const end = how === 'succeeds' ? SUCCEEDED : FAILED;
    if (how === 'succeeds' && jobType === 'deploy') {
      const activeModel = { ...MODEL, version: job.version ?? '' };
      const counters = { job: job.counter, twin: 0, epoch: job.epoch };
      await this.keep(twin(deviceId, { rev: 2, activeModel, counters }));
    }
    await this.keep(record(deviceId, jobId, { jobType, seq: 2, ...end }));
  }
}

const MODEL = { name: 'kws', precision: 'int8', digest: 'd', releaseCounter: 1 };
const SUCCEEDED = { status: 'SUCCEEDED', phase: 'committing', outcome: 'applied' };
const FAILED = {
  status: 'FAILED',
  phase: 'probing',
  outcome: 'rolled_back',
  reason: { code: 'unhealthy', text: 'the new model gave no answer' },
};

/** Somebody who commands rollouts, and reads what becomes of them. */
export class Operator {
  readonly records = new Map<string, Rollout>();
  readonly #answers = new Map<string, RolloutResponse>();
  readonly #client: MqttClient;
  readonly #key: SigningKey;
  #requests = 0;

  private constructor(client: MqttClient, key: SigningKey) {
    this.#client = client;
    this.#key = key;
  }

  static async open(port: number, key: SigningKey): Promise<Operator> {
    const client = connect({ port, host: '127.0.0.1', reconnectPeriod: 0, protocolVersion: 5 });
    afterThisTest(() => client.endAsync(true));
    const operator = new Operator(client, key);
    client.on('message', (topic, payload) => {
      const [, gone = ''] = /\/r\/([^/]+)\/state$/.exec(topic) ?? [];
      if (payload.length === 0) {
        operator.records.delete(gone);
        return;
      }
      const document = JSON.parse(payload.toString());
      if (topic.endsWith('/state')) operator.records.set(document.rolloutId, document);
      else operator.#answers.set(document.requestId, document);
    });
    await client.subscribeAsync(['edgefit/v1/r/+/state', 'edgefit/v1/r/+/rsp/+'], QOS1);
    return operator;
  }

  /** Sends a signed command; what is given replaces what a good one has. */
  async send(
    rolloutId: string,
    command: string,
    more: Readonly<Record<string, unknown>> & { readonly spec?: RolloutSpecInput } = {},
    key: SigningKey = this.#key,
  ): Promise<string> {
    this.#requests += 1;
    const requestId = `request-${this.#requests}`;
    const part = {
      type: 'rollout' as const,
      deviceId: rolloutId,
      counter: Date.now() + this.#requests,
      expires: new Date(Date.now() + 60_000).toISOString(),
      command,
      requestId,
      ...more,
    };
    const text = JSON.stringify(signDocument(part, [key]));
    const id = part.requestId;
    this.#answers.delete(id);
    await this.#client.publishAsync(`edgefit/v1/r/${rolloutId}/cmd/${id}`, text, QOS1);
    return id;
  }

  /** Sends a command and waits for its answer. */
  async ask(
    rolloutId: string,
    command: string,
    more: Parameters<Operator['send']>[2] = {},
    key: SigningKey = this.#key,
  ): Promise<RolloutResponse> {
    const id = await this.send(rolloutId, command, more, key);
    return until(`the answer to ${command}`, () => this.#answers.get(id));
  }

  /** Leaves a record at the broker, as an earlier moment left it. */
  async keep(rollout: Rollout): Promise<void> {
    const topic = `edgefit/v1/r/${rollout.rolloutId}/state`;
    await this.#client.publishAsync(topic, JSON.stringify(rollout), { ...QOS1, retain: true });
  }

  reaches(rolloutId: string, state: Rollout['state'], timeoutMs?: number): Promise<Rollout> {
    return until(
      `${rolloutId} is ${state}`,
      () => {
        const found = this.records.get(rolloutId);
        return found?.state === state ? found : undefined;
      },
      timeoutMs,
    );
  }
}
