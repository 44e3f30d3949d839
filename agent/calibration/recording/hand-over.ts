import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CalibRecord, ModelInput } from '../../contracts/recorded.ts';
import type { Feeds, Tensor } from '../../runtime/types.ts';
import { codeOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';
import { openSamples, type SampleOrigin } from '../samples/open.ts';
import { RecordClient } from './client.ts';
import { RecordError } from './error.ts';
import type { RecordedArray } from './sample.ts';

export interface HandOverRequest {
  readonly model: string;
  /** A file or folder; `-` for standard input. */
  readonly path?: string;
  /** A shell command that writes samples. */
  readonly command?: string;
  /** The most to hand over. */
  readonly limit?: number | undefined;
  /** Path of the daemon's socket. */
  readonly socket: string;
  readonly signal: AbortSignal;
}

/**
 * Reads samples as calibration does and hands them to the daemon, no faster than it takes them. Throws
 * RecordError, SampleError or FileError.
 */
export async function handOver(request: HandOverRequest): Promise<CalibRecord> {
  const { model, path, command } = request;
  const { inputs, seen, held } = await withClient(request, (client) => client.describe(model));
  const report = {
    schema: 'edgefit/calib-record/1',
    model,
    offered: 0,
    kept: 0,
    seen,
    held,
  } as const;
  if (command !== undefined) return handAll({ command }, inputs, report, request);
  if (path !== '-') return handAll({ path: path ?? '' }, inputs, report, request);
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-record-'));
  try {
    const file = join(folder, 'stdin');
    await pipeline(process.stdin, createWriteStream(file, { mode: 0o600 })).catch(
      (error: unknown) => {
        throw fileError('keep standard input in', file, error);
      },
    );
    return await handAll({ path: file }, inputs, report, request);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function handAll(
  origin: SampleOrigin,
  inputs: readonly ModelInput[],
  start: CalibRecord,
  request: HandOverRequest,
): Promise<CalibRecord> {
  const { limit = Infinity, signal } = request;
  const images = inputs.flatMap(({ name, image }) => (image ? [[name, { image }] as const] : []));
  const description = { inputs, outputs: [] };
  const samples = await openSamples(origin, Object.fromEntries(images), description, { signal });
  let report = start;
  for await (const { feeds } of samples) {
    const arrays = arraysOf(feeds);
    const { kept, seen, held } = await handOne(request, arrays);
    const offered = report.offered + 1;
    report = { ...report, offered, kept: report.kept + (kept ? 1 : 0), seen, held };
    if (offered >= limit) break;
  }
  return report;
}

/** Connections that are silent are closed after a minute: then there is room, or never. */
const BUSY_MS = 90_000;
const BUSY_PAUSE_MS = 250;

/** Again and again until it has had its turn. */
async function handOne(
  request: HandOverRequest,
  arrays: readonly RecordedArray[],
): Promise<{ readonly kept: boolean; readonly seen: number; readonly held: number }> {
  for (;;) {
    // A command may take its time between samples, and the daemon closes what is silent.
    // oxlint-disable-next-line no-await-in-loop -- until it is taken
    const answer = await withClient(request, (client) => client.record(request.model, arrays));
    if (!('retryMs' in answer)) return answer;
    // oxlint-disable-next-line no-await-in-loop -- see above
    await sleep(answer.retryMs, undefined, { signal: request.signal });
  }
}

/** Asks again while the daemon has its hands full with others. */
async function withClient<T>(
  { socket, signal }: HandOverRequest,
  work: (client: RecordClient) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + BUSY_MS;
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- until there is room
      return await once(socket, work);
    } catch (error) {
      if (codeOf(error) !== 'BUSY' || performance.now() > deadline) throw error;
    }
    // oxlint-disable-next-line no-await-in-loop -- see above
    await sleep(BUSY_PAUSE_MS, undefined, { signal });
  }
}

async function once<T>(socket: string, work: (client: RecordClient) => Promise<T>): Promise<T> {
  const client = await RecordClient.connect(socket);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

function arraysOf(feeds: Feeds): readonly RecordedArray[] {
  return Object.entries(feeds).map(([name, tensor]) => arrayOf(name, tensor));
}

function arrayOf(name: string, { dtype, shape, data }: Tensor): RecordedArray {
  if (dtype === 'string' || !ArrayBuffer.isView(data)) {
    throw new RecordError('BAD_DTYPE', `${name} holds text, which is not recorded`);
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, dtype, shape, bytes };
}
