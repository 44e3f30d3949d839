import type { FleetListener } from '../ports.ts';

/** Those who want to know what happens. */
export class Listeners {
  readonly #all = new Set<Partial<FleetListener>>();

  add(listener: Partial<FleetListener>): () => void {
    this.#all.add(listener);
    return () => {
      this.#all.delete(listener);
    };
  }

  each(call: (listener: Partial<FleetListener>) => void): void {
    for (const listener of this.#all) call(listener);
  }
}
