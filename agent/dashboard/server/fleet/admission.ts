/** What comes faster than this is not even parsed. */
export interface AdmissionLimits {
  /** Of one device; a healthy one sends three in 10 s. */
  readonly perDevice: number;
  /** Of all: what leaves time for everything else on a small server. */
  readonly total: number;
}

export const ADMISSION: AdmissionLimits = { perDevice: 20, total: 3000 };

/** Reports are a hundred times as large, and a device sends one after a benchmark of minutes. */
export const BENCH_ADMISSION: AdmissionLimits = { perDevice: 5, total: 50 };

/** Lets so many messages in each second pass, and counts the others. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #nowMs: () => number;
  #second = 0;
  #passed = 0;
  #byDevice = new Map<string, number>();
  #refused = 0;

  constructor(limits: AdmissionLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  get refused(): number {
    return this.#refused;
  }

  admit(deviceId: string): boolean {
    const second = Math.floor(this.#nowMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#passed = 0;
      this.#byDevice = new Map();
    }
    const ofDevice = (this.#byDevice.get(deviceId) ?? 0) + 1;
    if (this.#passed >= this.#limits.total || ofDevice > this.#limits.perDevice) {
      this.#refused += 1;
      return false;
    }
    this.#byDevice.set(deviceId, ofDevice);
    this.#passed += 1;
    return true;
  }
}
