import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SelfupdateJob } from '../../../contracts/job.ts';
import { checkRoom, KEEP_FREE_BYTES } from '../../../deploy/disk-room.ts';
import { download } from '../../../deploy/download/download.ts';
import { addressOf, agentPath, TARGETS } from '../../../deploy/tuf/layout.ts';
import type { TrustedTarget, TrustedTargets } from '../../../deploy/tuf/trusted-targets.ts';
import { AGENT_MAIN, agentFolder } from '../../../util/agents.ts';
import { move, removeDurably } from '../../../util/durable.ts';
import { makeFolderDurably } from '../../../util/files.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import { mustEndWell } from './child.ts';
import type { SelfUpdate, WorkContext } from './context.ts';
import { isThere, patiently, trustedNow } from './fetch.ts';
import { needed, readFindings } from './findings.ts';

/** Fetches the archive under its signed length and hash; pieces that are there are used again. */
export function fetchAgent(
  input: PhaseInput,
  { agent, limits }: SelfupdateJob,
  self: SelfUpdate,
  context: WorkContext,
): Promise<PhaseFindings> {
  return patiently(input.signal, async () => {
    const url = context.repository;
    if (url === null) throw new PhaseError('not_compatible', 'no repository is configured');
    const file = archiveOf(agent, self, await context.metadata.refresh(url, input.signal));
    const path = archivePath(self);
    await makeFolderDurably(self.folder);
    if (!(await isThere(path, file))) {
      const wanted = { ...file, url: addressOf(url, TARGETS, file.stored) };
      await download(path, wanted, {
        signal: input.signal,
        bytesPerSecond: limits?.bytesPerSecond,
        onProgress: input.onProgress,
      });
    }
    return { result: { downloadedBytes: file.bytes } };
  });
}

/** Checks every byte against the signed metadata. */
export async function verifyAgent(
  input: PhaseInput,
  { agent }: SelfupdateJob,
  self: SelfUpdate,
  context: WorkContext,
): Promise<PhaseFindings> {
  const file = archiveOf(agent, self, await trustedNow(input.signal, context));
  if (!(await isThere(archivePath(self), file))) {
    throw new PhaseError('wrong_content', 'the archive of the agent is not what was signed');
  }
  return { data: { digest: file.sha256 } };
}

/**
 * Unpacks the archive beside the agents that are there, and lets the new one say its version: whatever
 * cannot even start here, such as one for a newer C library, is not activated.
 */
export async function stageAgent(
  input: PhaseInput,
  { agent }: SelfupdateJob,
  self: SelfUpdate,
  context: WorkContext,
): Promise<PhaseFindings> {
  const digest = needed(readFindings(input.data).digest, 'digest');
  const target = agentFolder(self.folder, digest);
  await makeFolderDurably(join(self.folder, 'releases'));
  if (!existsSync(target)) await unpack(target, agent.version, self, input.signal);
  const program = { node: nodeOf(target), main: join(target, AGENT_MAIN) };
  const run = await context.runProgram(program, ['--version'], input.signal);
  const said = mustEndWell('the new agent', run).stdout.trim();
  if (said !== agent.version) {
    throw new PhaseError('bad_package', `the new agent says that it is ${said}`);
  }
  return { data: { before: self.running } };
}

async function unpack(target: string, version: string, self: SelfUpdate, signal: AbortSignal) {
  const { unpackArchive, unpackedBytes } = await import('../../../deploy/agents/archive.ts');
  await removeUnfinished(self);
  await checkRoom(target, (await unpackedBytes(archivePath(self))) + KEEP_FREE_BYTES);
  const room = await mkdtemp(join(self.folder, UNFINISHED));
  const fresh = join(room, 'agent');
  try {
    const described = await unpackArchive(archivePath(self), fresh, signal);
    if (described.version !== version || described.platform !== self.platform) {
      const text = `the archive holds agent ${described.version} for ${described.platform}`;
      throw new PhaseError('bad_package', text);
    }
    await move(fresh, target);
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

/** Prefix of the folders that agents are unpacked in. */
const UNFINISHED = '.unpack-';

/** What a crash left half unpacked. */
export async function removeUnfinished({ folder }: SelfUpdate): Promise<void> {
  for (const name of await readdir(folder)) {
    // oxlint-disable-next-line no-await-in-loop -- one at most
    if (name.startsWith(UNFINISHED)) await removeDurably(join(folder, name));
  }
}

export function archivePath({ folder }: SelfUpdate): string {
  return join(folder, 'archive.tar.gz');
}

/** The Node.js of an agent; its own where it brings one. */
function nodeOf(folder: string): string {
  const own = join(folder, 'node');
  return existsSync(own) ? own : process.execPath;
}

function archiveOf(
  { version, releaseCounter }: SelfupdateJob['agent'],
  { platform }: SelfUpdate,
  trusted: TrustedTargets,
): TrustedTarget {
  const file = trusted.target(agentPath(version, platform));
  if (file.releaseCounter !== releaseCounter) {
    const text = `agent ${version} is release ${file.releaseCounter ?? 0} in the repository, not ${releaseCounter}`;
    throw new PhaseError('mix_and_match', text);
  }
  return file;
}
