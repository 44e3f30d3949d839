import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ID_PATTERN } from '../../contracts/ids.ts';
import type { Guard } from './access/guard.ts';
import { ApiFailure } from './error.ts';
import { EventStream } from './event-stream.ts';
import { checked } from './checked.ts';
import type { FleetView } from './ports.ts';
import type { RowTexts } from './row-texts.ts';

const FLUSH_MS = 1000;
const BEAT_MS = 15_000;
/** Browsers open at most six connections to a host (HTTP/1.1); more tabs are other people's. */
const MAX_STREAMS = 500;
const MAX_PER_USER = 50;

const querySchema = z.object({ device: z.string().regex(ID_PATTERN).optional() });

interface Reader {
  readonly stream: EventStream;
  readonly request: FastifyRequest;
  readonly user: string;
}

/** GET /api/events: everyone who watches. */
export class EventHub {
  readonly #readers = new Set<Reader>();
  readonly #fleet: FleetView;
  readonly #texts: RowTexts;
  readonly #guard: Guard;
  #stop: () => void = () => undefined;

  constructor(parts: {
    readonly fleet: FleetView;
    readonly texts: RowTexts;
    readonly guard: Guard;
  }) {
    this.#fleet = parts.fleet;
    this.#texts = parts.texts;
    this.#guard = parts.guard;
  }

  /** Begins to listen to the fleet. */
  start(): void {
    const end = this.#fleet.listen({
      device: (deviceId) => this.#each((stream) => stream.noteDevice(deviceId)),
      broker: () => this.#each((stream) => stream.noteFlag('broker')),
      controllers: () => this.#each((stream) => stream.noteFlag('controllers')),
      complete: () => this.#each((stream) => stream.noteFlag('complete')),
      rollout: (rollout) => this.#each((stream) => stream.noteRollout(rollout)),
      rolloutGone: (id) => this.#each((stream) => stream.noteRolloutGone(id)),
      sample: (sample) => this.#each((stream) => stream.noteSample(sample)),
      job: (record) => this.#each((stream) => stream.noteJob(record)),
      bench: (bench) => this.#each((stream) => stream.noteBench(bench)),
    });
    const flush = setInterval(() => this.#each((stream) => stream.flush()), FLUSH_MS);
    const beat = setInterval(() => this.#beat(), BEAT_MS);
    this.#stop = () => {
      end();
      clearInterval(flush);
      clearInterval(beat);
      for (const reader of this.#readers) reader.stream.end();
    };
  }

  stop(): void {
    this.#stop();
  }

  addRoute(app: FastifyInstance): void {
    app.get('/api/events', { config: { access: 'viewer' } }, (request, reply) =>
      this.#open(request, reply),
    );
  }

  #open(request: FastifyRequest, reply: FastifyReply): void {
    const { device = null } = checked(querySchema, request.query);
    const user = request.identity?.user ?? '';
    const own = [...this.#readers].filter((reader) => reader.user === user);
    if (this.#readers.size >= MAX_STREAMS || own.length >= MAX_PER_USER) {
      throw new ApiFailure('busy', 'too many pages are open: close some');
    }
    reply.hijack();
    const headers = reply.getHeaders();
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    // Proxies such as nginx must not collect it.
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    const parts = { fleet: this.#fleet, texts: this.#texts, deviceId: device };
    const reader = { stream: new EventStream(reply.raw, parts), request, user };
    reply.raw.write('retry: 2000\n\n');
    // The state may have changed between the page's first question and now.
    for (const flag of ['broker', 'controllers', 'complete'] as const) reader.stream.noteFlag(flag);
    reader.stream.flush();
    this.#readers.add(reader);
    reply.raw.once('close', () => this.#readers.delete(reader));
  }

  #each(run: (stream: EventStream) => void): void {
    for (const { stream } of this.#readers) run(stream);
  }

  /** Also ends the streams of those who may not look any more. */
  #beat(): void {
    for (const { stream, request } of this.#readers) {
      stream.beat();
      void this.#guard.identify(request).then(
        (identity) => {
          if (identity === null) stream.end();
        },
        () => stream.end(),
      );
    }
  }
}
