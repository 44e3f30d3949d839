import { connectAsync, type MqttClient } from 'mqtt';
import { cardShard } from '../../../../agent/fleet/protocol/topics.ts';

/** What real devices publish, made by hand. */
export class Devices {
  readonly #client: MqttClient;

  private constructor(client: MqttClient) {
    this.#client = client;
  }

  static async connect(port: number): Promise<Devices> {
    return new Devices(await connectAsync(`mqtt://127.0.0.1:${port}`));
  }

  get client(): MqttClient {
    return this.#client;
  }

  async publish(topic: string, document: object, retain = true): Promise<void> {
    await this.#client.publishAsync(`edgefit/v1/${topic}`, JSON.stringify(document), {
      qos: 1,
      retain,
    });
  }

  /** Takes the card of a device away, and with it the device. */
  async remove(deviceId: string): Promise<void> {
    const topic = `edgefit/v1/d/${deviceId}/up/card/${cardShard(deviceId)}`;
    await this.#client.publishAsync(topic, '', { qos: 1, retain: true });
  }

  /** Status, card and twin of a device that is there. */
  async appear(deviceId: string, rest: { model?: string; jobCounter?: number } = {}) {
    const now = new Date().toISOString();
    await this.publish(`d/${deviceId}/up/status`, {
      schema: 'edgefit/status/1',
      deviceId,
      state: 'online',
      session: 1,
      bootId: 'boot-1',
      since: now,
      ts: now,
      agent: '1.2.3',
      cause: null,
    });
    await this.publish(`d/${deviceId}/up/card/${cardShard(deviceId)}`, {
      schema: 'edgefit/card/1',
      deviceId,
      ts: now,
      session: 1,
      agent: '1.2.3',
      class: 'rpi-5',
      board: 'Raspberry Pi 5',
      arch: 'arm64',
      tags: ['site-a'],
      precisions: ['int8'],
      runtimes: ['onnxruntime'],
      accelerators: [],
      memoryBytes: 8e9,
      jobTypes: ['bench'],
      keyIds: [],
    });
    await this.publish(`d/${deviceId}/up/twin`, {
      schema: 'edgefit/twin/1',
      deviceId,
      ts: now,
      rev: 1,
      activeModel: {
        name: rest.model ?? 'kws',
        version: '2.0',
        precision: 'int8',
        digest: 'a'.repeat(64),
        releaseCounter: 7,
      },
      settings: { counter: null, applied: {}, refused: null },
      counters: { job: rest.jobCounter ?? 4, twin: 0 },
      lastBench: {
        benchId: 'b0',
        digest: 'a'.repeat(64),
        ts: now,
        p90Ms: 4.5,
        accuracy: { metric: 'top1', value: 0.93 },
      },
    });
  }

  telemetry(deviceId: string, values: Record<string, number | null>, rest: object = {}) {
    return this.publish(
      `d/${deviceId}/up/tele/host`,
      {
        schema: 'edgefit/telemetry/1',
        deviceId,
        stream: 'host',
        seq: 1,
        ts: Date.now(),
        mono: performance.now(),
        bootId: 'boot-1',
        full: false,
        values,
        ...rest,
      },
      false,
    );
  }

  record(deviceId: string, jobId: string, rest: object = {}) {
    return this.publish(`d/${deviceId}/up/job/${jobId}`, {
      schema: 'edgefit/job/1',
      deviceId,
      jobId,
      jobType: 'bench',
      rolloutId: null,
      digest: null,
      seq: 1,
      status: 'IN_PROGRESS',
      phase: 'fitting',
      attempt: 1,
      outcome: null,
      reason: null,
      progress: null,
      result: null,
      phases: { accepted: 12 },
      ts: new Date().toISOString(),
      mono: 1,
      bootId: 'boot-1',
      ...rest,
    });
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true);
  }
}
