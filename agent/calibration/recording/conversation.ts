import type { Socket } from 'node:net';
import { recordHeaderSchema, type RecordHeader } from '../../contracts/recorded.ts';
import { messageOf } from '../../util/errors.ts';
import { ByteReader } from '../samples/byte-reader.ts';
import { SampleError } from '../samples/error.ts';
import { RecordError } from './error.ts';
import type { Recorder } from './recorder.ts';
import { sizeOf, type RecordedArray } from './sample.ts';

/*
 * A conversation over the local socket: messages one after the other, one line of JSON as the answer to
 * each. A message is one line of JSON (`recordHeaderSchema`) and the bytes of the arrays it names.
 */

export interface ConversationOptions {
  readonly recorder: Recorder;
  readonly maxSampleBytes: number;
  /** Bytes that all conversations together may still hold. */
  readonly budget: { left: number };
  /** Told of every sample that was refused: its code, never its content. */
  readonly onRefused: (code: string, model: string | null) => void;
  readonly idleMs?: number;
  readonly messageMs?: number;
}

/** Names and shapes of some hundred inputs. */
const MAX_HEADER_BYTES = 64 * 1024;
/** A silent connection is closed. */
const IDLE_MS = 60_000;
/** From the first byte of a message to the last. */
const MESSAGE_MS = 10_000;

/** Answers until the other side has ended, is too slow, or sends what cannot be followed. Never throws. */
export async function answerMessages(socket: Socket, options: ConversationOptions): Promise<void> {
  const { idleMs = IDLE_MS, messageMs = MESSAGE_MS, onRefused } = options;
  // Its end is seen by who reads.
  socket.on('error', () => undefined);
  // Whoever has sent all may end its side; the answer goes out all the same.
  const reader = new ByteReader(socket.iterator({ destroyOnReturn: false }), 'the message');
  const inTime: InTime = (work) => withinTime(messageMs, work);
  try {
    // oxlint-disable-next-line no-await-in-loop -- one message after the other
    while (await withinTime(idleMs, () => reader.hasMore())) {
      // oxlint-disable-next-line no-await-in-loop -- see above
      const { answer, goesOn } = await answerOne(reader, options, inTime);
      if (!answer.ok) onRefused(answer.code, answer.model);
      // oxlint-disable-next-line no-await-in-loop -- answers that nobody reads must not pile up
      await inTime(() => write(socket, `${JSON.stringify(answer)}\n`));
      if (!goesOn) break;
    }
  } catch {
    // The other side has gone, or is silent, or does not read.
  } finally {
    socket.destroy();
  }
}

/** Resolves when the system has taken it. */
function write(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(text, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

type Answer =
  | ({ readonly ok: true } & Readonly<Record<string, unknown>>)
  | {
      readonly ok: false;
      readonly code: string;
      readonly text: string;
      readonly model: string | null;
    };

type InTime = <T>(work: () => Promise<T>) => Promise<T>;

/** `goesOn`: where the next message begins is known. */
async function answerOne(
  reader: ByteReader,
  options: ConversationOptions,
  inTime: InTime,
): Promise<{ readonly answer: Answer; readonly goesOn: boolean }> {
  let model: string | null = null;
  let goesOn = false;
  try {
    const header = parseHeader(await inTime(() => reader.readLine(MAX_HEADER_BYTES)));
    ({ model } = header);
    const { recorder } = options;
    if (header.inputs === undefined) {
      goesOn = true;
      return { answer: { ok: true, ...(await recorder.describe(model)) }, goesOn };
    }
    const { inputs } = header;
    const bytes = inputs.reduce((sum, input) => sum + sizeOf(input), 0);
    const refusal = refuseSize(bytes, options);
    if (refusal !== null) {
      await inTime(() => reader.skip(bytes));
      goesOn = true;
      throw refusal;
    }
    const result = await withBytes(bytes, options, async () => {
      const arrays = await inTime(() => readArrays(reader, inputs));
      goesOn = true;
      return recorder.record(header.model, arrays);
    });
    const answer =
      'retryMs' in result
        ? ({ ok: true, kept: false, limited: true, ...result } as const)
        : ({ ok: true, ...result } as const);
    return { answer, goesOn };
  } catch (error) {
    return { answer: { ok: false, ...inWords(error), model }, goesOn };
  }
}

function parseHeader(line: Buffer | null): RecordHeader {
  if (line === null) {
    throw new RecordError('BAD_HEADER', `no line break within ${MAX_HEADER_BYTES} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch (cause) {
    throw new RecordError('BAD_HEADER', 'the first line is not JSON', { cause });
  }
  const { success, data, error } = recordHeaderSchema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  const where = issue?.path.map(String).join('.') || 'the first line';
  throw new RecordError('BAD_HEADER', `${where}: ${issue?.message ?? 'not valid'}`);
}

function refuseSize(bytes: number, options: ConversationOptions): RecordError | null {
  const { maxSampleBytes, budget } = options;
  if (bytes > maxSampleBytes) {
    const message = `${bytes} bytes are above calibration.maxSampleBytes, ${maxSampleBytes}`;
    return new RecordError('TOO_LARGE', message);
  }
  return bytes > budget.left ? new RecordError('BUSY', 'too many samples at once') : null;
}

/** Does work while memory for the arrays is set aside. */
async function withBytes<T>(
  bytes: number,
  { budget }: ConversationOptions,
  work: () => Promise<T>,
): Promise<T> {
  budget.left -= bytes;
  try {
    return await work();
  } finally {
    budget.left += bytes;
  }
}

async function readArrays(
  reader: ByteReader,
  inputs: NonNullable<RecordHeader['inputs']>,
): Promise<readonly RecordedArray[]> {
  const arrays: RecordedArray[] = [];
  for (const input of inputs) {
    // oxlint-disable-next-line no-await-in-loop -- a stream
    arrays.push({ ...input, bytes: await reader.read(sizeOf(input)) });
  }
  return arrays;
}

function inWords(error: unknown): { readonly code: string; readonly text: string } {
  if (error instanceof RecordError) return { code: error.code, text: error.message };
  if (error instanceof SampleError && error.code === 'truncated') {
    return { code: 'TRUNCATED', text: error.message };
  }
  return { code: 'FAILED', text: messageOf(error) };
}

async function withinTime<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new RecordError('TIMEOUT', `nothing whole came within ${ms} ms`));
    }, ms);
    timer.unref();
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
