/** Channels that must be scaled alike, as a union-find forest; some may not be scaled at all. */
export class Variables {
  readonly #parent: number[] = [];
  readonly #fixed: boolean[] = [];

  get size(): number {
    return this.#parent.length;
  }

  /** New variables, each on its own. */
  fresh(count: number): Int32Array {
    const first = this.#parent.length;
    for (let i = 0; i < count; i++) {
      this.#parent.push(first + i);
      this.#fixed.push(false);
    }
    return Int32Array.from({ length: count }, (_, i) => first + i);
  }

  /** The variable that stands for all that were joined with this one. */
  root(id: number): number {
    let root = id;
    for (let up = this.#parent[root]; up !== undefined && up !== root; up = this.#parent[root]) {
      root = up;
    }
    // Halves the way for the next search.
    for (let at = id; at !== root;) {
      const up = this.#parent[at] ?? root;
      this.#parent[at] = root;
      at = up;
    }
    return root;
  }

  /** From now on both have one factor. */
  join(a: number, b: number): void {
    const [to, from] = [this.root(a), this.root(b)];
    if (to === from) return;
    this.#parent[from] = to;
    this.#fixed[to] = this.isFixed(to) || (this.#fixed[from] ?? false);
  }

  /** The variable keeps the factor 1: something reads it that does not scale along. */
  fix(id: number): void {
    this.#fixed[this.root(id)] = true;
  }

  isFixed(id: number): boolean {
    return this.#fixed[this.root(id)] ?? false;
  }
}
