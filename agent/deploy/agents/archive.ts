import { mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { agentPackageSchema, type AgentPackage } from '../../contracts/agent-package.ts';
import { AGENT_MAIN } from '../../util/agents.ts';
import { syncFile, syncFolder } from '../../util/durable.ts';
import { messageOf } from '../../util/errors.ts';
import { TrustError } from '../errors.ts';
import { readTar, type TarFile } from './tar.ts';

/** At the top of an archive: what it is. */
const DESCRIPTION = 'agent-package.json';
const MAX_DESCRIPTION_BYTES = 65_536;

/** What an archive says it is. Reads all of it. Throws TrustError (BAD_PACKAGE) and system errors. */
export async function describeArchive(archive: string): Promise<AgentPackage> {
  return readAgent(archive, async () => undefined);
}

/** What an archive takes on the disk once it is unpacked. Throws as describeArchive. */
export async function unpackedBytes(archive: string): Promise<number> {
  let sum = 0;
  await readTar(archive, async ({ bytes }) => {
    // Each file has blocks of its own, and a name.
    sum += (Math.ceil(bytes / DISK_BLOCK_BYTES) + 1) * DISK_BLOCK_BYTES;
  });
  return sum;
}

/** Of nearly all file systems. */
const DISK_BLOCK_BYTES = 4096;

/**
 * Unpacks an agent into a new folder, all of it on the disk when this resolves. Throws TrustError
 * (BAD_PACKAGE), system errors, and the signal's reason.
 */
export async function unpackArchive(
  archive: string,
  folder: string,
  signal: AbortSignal,
): Promise<AgentPackage> {
  await mkdir(folder, { mode: 0o700 });
  const files: string[] = [];
  const described = await readAgent(archive, async (file, pieces) => {
    signal.throwIfAborted();
    const path = join(folder, file.path);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeNew(path, file, pieces);
    files.push(path);
  });
  // After all were written: most have reached the disk meanwhile.
  for (const path of files) {
    signal.throwIfAborted();
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    await syncFile(path);
  }
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    // oxlint-disable-next-line no-await-in-loop -- see above
    if (entry.isDirectory()) await syncFolder(join(entry.parentPath, entry.name));
  }
  await syncFolder(folder);
  return described;
}

type Keep = (file: TarFile, pieces: AsyncIterable<Uint8Array>) => Promise<void>;

async function readAgent(archive: string, keep: Keep): Promise<AgentPackage> {
  let text: string | null = null;
  let hasMain = false;
  await readTar(archive, async (file, pieces) => {
    if (file.path === AGENT_MAIN) hasMain = true;
    if (file.path !== DESCRIPTION || file.bytes > MAX_DESCRIPTION_BYTES) return keep(file, pieces);
    const bytes: Uint8Array[] = [];
    for await (const piece of pieces) bytes.push(piece);
    text = Buffer.concat(bytes).toString('utf8');
    await keep(file, arrayOf(bytes));
  });
  if (text === null) throw bad(`there is no ${DESCRIPTION} in it`);
  if (!hasMain) throw bad(`there is no ${AGENT_MAIN} in it`);
  const parsed = agentPackageSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw bad(`${DESCRIPTION}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw bad(`${DESCRIPTION}: ${messageOf(error)}`);
  }
}

async function* arrayOf(bytes: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* bytes;
}

async function writeNew(
  path: string,
  { isExecutable }: TarFile,
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = await open(path, 'wx', isExecutable ? 0o700 : 0o600);
  try {
    for await (const piece of pieces) await file.appendFile(piece);
  } finally {
    await file.close();
  }
}

function bad(why: string): TrustError {
  return new TrustError('BAD_PACKAGE', `this is no archive of an agent: ${why}`);
}
