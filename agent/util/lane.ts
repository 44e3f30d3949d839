const NOBODY = (): void => undefined;

/** Lets one in at a time, in the order in which they came. */
export class Lane {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when it is free, to what frees it again. */
  async enter(): Promise<() => void> {
    const before = this.#last;
    let leave = NOBODY;
    this.#last = new Promise((resolve) => {
      leave = resolve;
    });
    await before;
    return leave;
  }
}
