import { readFile } from 'node:fs/promises';
import { judgedNow, timeToPersist, type ClockReading } from '../../deploy/tuf/clock.ts';
import { replaceFile } from '../../util/durable.ts';
import { codeOf } from '../../util/errors.ts';

export interface DeviceClockOptions {
  readonly path: string;
  /** When the newest timestamp that was verified here was signed; 0 when there is none. */
  readonly signedMs: () => Promise<number>;
  readonly isSynchronised: () => Promise<boolean>;
  /** The machine's clock; tests set it elsewhere. */
  readonly systemMs?: () => number;
}

/** The time by which a device judges expiry, kept over restarts: a board may start in 1970. */
export class DeviceClock {
  readonly #options: DeviceClockOptions;
  #persistedMs: number;

  private constructor(options: DeviceClockOptions, persistedMs: number) {
    this.#options = options;
    this.#persistedMs = persistedMs;
  }

  static async open(options: DeviceClockOptions): Promise<DeviceClock> {
    return new DeviceClock(options, await readTime(options.path));
  }

  async nowMs(): Promise<number> {
    return judgedNow(await this.#reading());
  }

  /** Keeps what is known of the time; call it now and then, and after metadata was verified. */
  async persist(): Promise<void> {
    const ms = timeToPersist(await this.#reading());
    if (ms <= this.#persistedMs) return;
    await replaceFile(this.#options.path, `${JSON.stringify({ ms })}\n`);
    this.#persistedMs = ms;
  }

  async #reading(): Promise<ClockReading> {
    const { signedMs, isSynchronised, systemMs = Date.now } = this.#options;
    return {
      systemMs: systemMs(),
      synchronised: await isSynchronised(),
      persistedMs: this.#persistedMs,
      signedMs: await signedMs(),
    };
  }
}

/** 0 when nothing useful is there: other sources of the time remain. */
async function readTime(path: string): Promise<number> {
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof json !== 'object' || json === null || !('ms' in json)) return 0;
    return typeof json.ms === 'number' && Number.isFinite(json.ms) ? json.ms : 0;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return 0;
    throw error;
  }
}
