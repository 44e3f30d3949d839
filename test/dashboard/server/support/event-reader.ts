import { until, type Client } from './dashboard.ts';

export interface SeenEvent {
  readonly name: string;
  readonly data: Record<string, unknown>;
}

/** Reads server-sent events as a browser does. */
export class EventReader {
  readonly events: SeenEvent[] = [];
  readonly #stop = new AbortController();
  isOver = false;

  constructor(client: Client, path: string) {
    void this.#read(client, path)
      .catch(() => undefined)
      .finally(() => {
        this.isOver = true;
      });
  }

  /** The first event of that name for which it holds. */
  wait(name: string, holds: (data: Record<string, unknown>) => boolean = () => true) {
    return until(`event ${name}`, () =>
      this.events.find((event) => event.name === name && holds(event.data)),
    );
  }

  close(): void {
    this.#stop.abort();
  }

  async #read(client: Client, path: string): Promise<void> {
    const { body } = await client.fetch(path, { signal: this.#stop.signal });
    if (body === null) return;
    let text = '';
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) this.#take(part);
    }
  }

  #take(part: string): void {
    const name = /^event: (.*)$/m.exec(part)?.[1];
    const data = /^data: (.*)$/m.exec(part)?.[1];
    if (name === undefined || data === undefined) return;
    this.events.push({ name, data: JSON.parse(data) as Record<string, unknown> });
  }
}
