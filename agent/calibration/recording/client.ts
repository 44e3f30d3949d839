import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { modelInputSchema } from '../../contracts/recorded.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { ByteReader } from '../samples/byte-reader.ts';
import { RecordError, type RecordErrorCode } from './error.ts';
import type { RecordedArray } from './sample.ts';

const count = z.number().int().nonnegative();

const describedSchema = z.object({
  inputs: z.array(modelInputSchema).min(1),
  seen: count,
  held: count,
});

const recordedSchema = z.union([
  z.object({ kept: z.boolean(), seen: count, held: count }),
  z.object({ retryMs: z.number().nonnegative() }),
]);

const refusedSchema = z.object({ ok: z.literal(false), code: z.string(), text: z.string() });

export type Described = z.infer<typeof describedSchema>;

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const ANSWER_MS = 30_000;
/** What is not the sample's fault. */
const FAILURES: readonly string[] = ['BUSY', 'DISK', 'FAILED', 'TIMEOUT', 'UNKNOWN_MODEL'];

/** Hands samples to the daemon. Throws RecordError: with its code where the daemon refuses. */
export class RecordClient {
  readonly #socket: Socket;
  readonly #answers: ByteReader;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#answers = new ByteReader(socket, 'the answer of the daemon');
  }

  static async connect(path: string): Promise<RecordClient> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) => {
        reject(unreachable(path, cause));
      });
    });
    // From now on whoever reads hears of it.
    socket.on('error', () => undefined);
    socket.setTimeout(ANSWER_MS, () => {
      socket.destroy(new Error(`no answer within ${ANSWER_MS} ms`));
    });
    return new RecordClient(socket);
  }

  /** What samples of an installed model must bring. */
  async describe(model: string): Promise<Described> {
    return this.#ask({ model }, [], describedSchema);
  }

  /** One sample. */
  record(model: string, arrays: readonly RecordedArray[]): Promise<z.infer<typeof recordedSchema>> {
    const inputs = arrays.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
    const bytes = arrays.map((array) => array.bytes);
    return this.#ask({ model, inputs }, bytes, recordedSchema);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #ask<T>(header: object, bytes: readonly Uint8Array[], schema: z.ZodType<T>): Promise<T> {
    this.#socket.write(`${JSON.stringify(header)}\n`);
    for (const part of bytes) this.#socket.write(part);
    const answer = await this.#answer();
    const refused = refusedSchema.safeParse(answer);
    if (refused.success) throw refusal(refused.data);
    const { success, data } = schema.safeParse(answer);
    if (success) return data;
    throw new RecordError('FAILED', 'the daemon answers in words that this version does not know', {
      kind: 'failure',
    });
  }

  async #answer(): Promise<unknown> {
    try {
      const line = await this.#answers.readLine(MAX_ANSWER_BYTES);
      return JSON.parse(line?.toString('utf8') ?? '');
    } catch (cause) {
      const message = `the daemon gave no whole answer: ${messageOf(cause)}`;
      throw new RecordError('FAILED', message, { cause, kind: 'failure' });
    }
  }
}

const CODES: readonly RecordErrorCode[] = [
  'BAD_HEADER',
  'UNKNOWN_MODEL',
  'NO_INPUTS',
  'BAD_INPUTS',
  'BAD_SHAPE',
  'BAD_DTYPE',
  'NOT_FINITE',
  'TOO_LARGE',
  'TRUNCATED',
  'TIMEOUT',
  'BUSY',
  'DISK',
];

function refusal({ code, text }: z.infer<typeof refusedSchema>): RecordError {
  const known = CODES.find((one) => one === code) ?? 'FAILED';
  const kind = FAILURES.includes(known) ? 'failure' : 'input';
  return new RecordError(known, `${text} (${code})`, { kind });
}

function unreachable(path: string, cause: unknown): RecordError {
  const code = codeOf(cause);
  const why =
    code === 'EACCES'
      ? 'permission denied: be in the group of the daemon'
      : code === 'ENOENT' || code === 'ECONNREFUSED'
        ? 'nobody listens: set calibration.record: true and start agent run'
        : messageOf(cause);
  const message = `cannot hand samples over at ${path}: ${why}`;
  return new RecordError('FAILED', message, { cause, kind: 'failure' });
}
