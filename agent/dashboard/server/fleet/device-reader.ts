import type { BrokerSettings } from '../../../fleet/broker-link.ts';
import { openChannel } from '../../../fleet/operator/channel.ts';
import { readDevice } from '../../../fleet/operator/device.ts';
import { messageOf } from '../../../util/errors.ts';
import type { DeviceDocuments } from '../ports.ts';

export interface DeviceReaderOptions {
  readonly broker: BrokerSettings;
  readonly clientId: string;
  readonly timeoutMs: number;
  readonly log: { readonly warn: (fields: object, message: string) => void };
}

/** Each has a connection of its own for half a second. */
const MAX_READINGS = 8;

export const NOTHING: DeviceDocuments = { birth: null, twin: null, jobs: [], decisions: [] };

/** Reads what the broker keeps of single devices: too much to hold for all of them. */
export class DeviceReader {
  readonly #options: DeviceReaderOptions;
  readonly #reading = new Map<string, Promise<DeviceDocuments>>();

  constructor(options: DeviceReaderOptions) {
    this.#options = options;
  }

  /** One reading serves all who ask meanwhile; few devices are read at once. Never throws. */
  async read(deviceId: string): Promise<DeviceDocuments> {
    // oxlint-disable-next-line no-await-in-loop -- until there is room
    while (this.#isFull(deviceId)) await Promise.race(this.#reading.values());
    const known = this.#reading.get(deviceId);
    if (known !== undefined) return known;
    const reading = this.#readNow(deviceId).finally(() => this.#reading.delete(deviceId));
    this.#reading.set(deviceId, reading);
    return reading;
  }

  #isFull(deviceId: string): boolean {
    return this.#reading.size >= MAX_READINGS && !this.#reading.has(deviceId);
  }

  async #readNow(deviceId: string): Promise<DeviceDocuments> {
    const { broker, clientId, timeoutMs, log } = this.#options;
    try {
      const channel = await openChannel({ broker, timeoutMs, operatorId: clientId });
      try {
        const { birth, twin, jobs, decisions } = await readDevice(channel, deviceId);
        return { birth, twin, jobs, decisions };
      } finally {
        await channel.close();
      }
    } catch (error) {
      log.warn({ deviceId, why: messageOf(error) }, 'its documents could not be read');
      return NOTHING;
    }
  }
}
