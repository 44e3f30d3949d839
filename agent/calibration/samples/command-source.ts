import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Tensor } from '../../runtime/types.ts';
import { MAX_SAMPLE_BYTES } from './arrays.ts';
import { ByteReader } from './byte-reader.ts';
import { SampleError, shapeText } from './error.ts';
import { decodeElements, readNpyHeader } from './npy.ts';
import { constantFeeds, feedFromArray, neededInputs } from './plan.ts';
import type { InputPlan, RawSource, Sample } from './types.ts';

/**
 * Samples from a program of the user's, which knows its own camera, bus or database.
 *
 * The program's standard output is a plain sequence of .npy records, as numpy.save(sys.stdout.buffer,
 * x) writes them: for every sample one record per input that is not constant, in the order of the
 * model's inputs. A record is shaped like the input, with or without its batch axis of 1; under an
 * `image` spec a uint8 record is a picture (height, width, channels). The stream ends after the last
 * record of a sample and the program exits with 0; it is stopped when enough samples were read.
 */

const RECORD_TIMEOUT_MS = 60_000;
const EXIT_TIMEOUT_MS = 10_000;
const KILL_AFTER_MS = 2000;
const KEPT_STDERR_CHARACTERS = 2000;
/** Without `to` a program that never ends would calibrate forever. */
const MAX_SAMPLES = 1_000_000;

export interface CommandOptions {
  /** How long one record may take; 60 s. */
  readonly recordTimeoutMs?: number;
}

export function commandSource(
  command: string,
  plans: readonly InputPlan[],
  options: CommandOptions = {},
): RawSource {
  return {
    count: null,
    labelled: false,
    what: `samples from the command ${command}`,
    warnings: [],
    read: (from, to, signal) => readCommand(command, plans, from, to, signal, options),
  };
}

async function* readCommand(
  command: string,
  plans: readonly InputPlan[],
  from: number,
  to: number | null,
  signal: AbortSignal | undefined,
  { recordTimeoutMs = RECORD_TIMEOUT_MS }: CommandOptions,
): AsyncGenerator<Sample> {
  const child = startCommand(command);
  const abort = () => killGroup(child.process, 'SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  const reader = new ByteReader(child.stdout, `command ${command}`);
  const constants = constantFeeds(plans);
  const needed = neededInputs(plans);
  const end = to ?? MAX_SAMPLES;
  try {
    for (let index = 0; index < end; index += 1) {
      const feeds: Record<string, Tensor> = { ...constants };
      for (const [position, plan] of needed.entries()) {
        const title = `command ${command}: sample ${index}, input ${plan.name}`;
        const late = () => killGroup(child.process, 'SIGKILL');
        // oxlint-disable-next-line no-await-in-loop -- a stream
        const record = await within(recordTimeoutMs, title, late, readRecord(reader, title));
        signal?.throwIfAborted();
        if (record === null && position === 0) {
          // oxlint-disable-next-line no-await-in-loop -- the last step
          await checkExit(child, command);
          return;
        }
        if (record === null)
          throw new SampleError('truncated', `${title}: the output ends before it`);
        if (index >= from) feeds[plan.name] = feedFromArray(plan, record, title);
      }
      if (index >= from) yield { feeds, name: `sample ${index} of the command` };
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
    await stopCommand(child.process);
  }
}

interface Running {
  readonly process: ChildProcess;
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: () => string;
  readonly exit: Promise<string | null>;
}

/** Through the shell, in a process group of its own so that everything it starts can be stopped. */
function startCommand(command: string): Running {
  const child = spawn(command, {
    shell: true,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_STDERR_CHARACTERS);
  });
  const exit = new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      resolve(code === 0 ? null : signal ? `stopped by ${signal}` : `exit code ${code}`);
    });
  });
  return { process: child, stdout: child.stdout, stderr: () => stderr, exit };
}

/** The next record, or null at the end of the output. */
async function readRecord(reader: ByteReader, title: string): Promise<Tensor | null> {
  const first = await reader.readOrEnd(1);
  if (first === null) return null;
  let pending: Buffer | null = first;
  const header = await readNpyHeader(async (n) => {
    const rest = await reader.read(n - (pending?.length ?? 0));
    const bytes = pending === null ? rest : Buffer.concat([pending, rest]);
    pending = null;
    return bytes;
  }, title);
  const bytes = header.shape.reduce((product, dim) => product * dim, header.itemBytes);
  if (bytes === 0 || bytes > MAX_SAMPLE_BYTES) {
    throw new SampleError('shape', `${title}: a record of shape ${shapeText(header.shape)}`);
  }
  const { dtype, shape } = header;
  return { dtype, shape, data: decodeElements(await reader.read(bytes), header) };
}

async function checkExit(child: Running, command: string): Promise<void> {
  const title = `command ${command}`;
  const problem = await within(EXIT_TIMEOUT_MS, title, () => undefined, child.exit);
  if (problem === null) return;
  const said = child.stderr().trim().split('\n').at(-1) ?? '';
  const why = said === '' ? problem : `${problem}: ${said}`;
  throw new SampleError('command', `${title}: ${why}`);
}

async function within<T>(
  ms: number,
  title: string,
  late: () => void,
  work: Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late();
      reject(new SampleError('command', `${title}: nothing came within ${ms / 1000} s`));
    }, ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
    // After a timeout nobody waits for it any more.
    work.catch(() => undefined);
  }
}

async function stopCommand(child: ChildProcess): Promise<void> {
  child.stdout?.destroy();
  killGroup(child, 'SIGTERM');
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => killGroup(child, 'SIGKILL'), KILL_AFTER_MS);
  try {
    await once(child, 'exit');
  } finally {
    clearTimeout(timer);
  }
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The whole group has gone already.
  }
}
