import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { download } from '../../../deploy/download/download.ts';
import { PATIENCE, pause, pauseMs } from '../../../deploy/download/http.ts';
import { hashOfFile } from '../../../deploy/hash.ts';
import { addressOf, TARGETS } from '../../../deploy/tuf/layout.ts';
import type { TrustedTarget, TrustedTargets } from '../../../deploy/tuf/trusted-targets.ts';
import { removeDurably } from '../../../util/durable.ts';
import { codeOf } from '../../../util/errors.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import type { WorkContext } from './context.ts';
import type { Wanted } from './stage.ts';

type Files = ReadonlyMap<string, TrustedTarget>;

/** Where a package lies while it is used. */
export function packageFolder(model: Wanted, { folders }: WorkContext): string {
  return join(folders.packages, model.name, model.version);
}

/**
 * Fetches the package: metadata first, then each file under its signed length and hash. What is there
 * already is used again. A line that is cut is waited for until the phase's time is over.
 */
export async function fetchPackage(
  input: PhaseInput,
  model: Wanted,
  context: WorkContext,
): Promise<PhaseFindings> {
  return patiently(input.signal, () => fetchOnce(input, model, context));
}

/** Tries until it works, or fails for a reason that does not pass. */
export async function patiently<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- tries come one after the other
      return await attempt();
    } catch (error) {
      if (!PASSING.includes(codeOf(error) ?? '')) throw error;
      const ms = pauseMs(failures, PATIENCE.firstPauseMs, Math.random());
      // oxlint-disable-next-line no-await-in-loop -- back-off
      await pause(ms, signal);
    }
  }
}

/** What a later try may not meet again. */
const PASSING: readonly string[] = ['unreachable', 'slow_retrieval'];

async function fetchOnce(
  input: PhaseInput,
  model: Wanted,
  context: WorkContext,
): Promise<PhaseFindings> {
  const { repository: url, download: bring = download } = context;
  if (url === null) throw new PhaseError('not_compatible', 'no repository is configured');
  const trusted = await context.metadata.refresh(url, input.signal);
  const files = filesOf(model, trusted);
  const total = [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const [name, file] of files) {
    const path = join(packageFolder(model, context), name);
    const before = done;
    // oxlint-disable-next-line no-await-in-loop -- one connection at a time
    if (!(await isThere(path, file))) {
      const wanted = { ...file, url: addressOf(url, TARGETS, file.stored) };
      // oxlint-disable-next-line no-await-in-loop -- see above
      await bring(path, wanted, {
        signal: input.signal,
        bytesPerSecond: input.document.limits?.bytesPerSecond,
        onProgress: (bytes) => {
          input.onProgress(before + bytes, total);
        },
      });
    }
    done += file.bytes;
  }
  return { result: { downloadedBytes: total, files: files.size } };
}

/** Checks every byte against the signed metadata, and that nothing else lies beside it. */
export async function verifyPackage(
  input: PhaseInput,
  model: Wanted,
  context: WorkContext,
): Promise<PhaseFindings> {
  const trusted = await trustedNow(input.signal, context);
  const files = filesOf(model, trusted);
  const folder = packageFolder(model, context);
  for (const [name, file] of files) {
    input.signal.throwIfAborted();
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    if (!(await isThere(join(folder, name), file))) {
      throw new PhaseError('wrong_content', `${name} of the package is not what was signed`);
    }
  }
  await removeStrangers(folder, files);
  return { data: { packageDigest: digestOf(files) } };
}

/** As `downloading` left it; a power cut during a later refresh may have mixed two versions. */
export async function trustedNow(
  signal: AbortSignal,
  { metadata, repository }: WorkContext,
): Promise<TrustedTargets> {
  try {
    return await metadata.offline();
  } catch (error) {
    if (repository === null) throw error;
    return metadata.refresh(repository, signal);
  }
}

/** The files of the release, which must be the release that the job names. */
function filesOf(model: Wanted, trusted: TrustedTargets): Files {
  const files = trusted.packageFiles(model.name, model.version);
  const manifest = files.get('manifest.json');
  const name = `${model.name} ${model.version}`;
  if (manifest === undefined) {
    throw new PhaseError('missing', `the repository has no release ${name}`);
  }
  if (manifest.releaseCounter !== model.releaseCounter) {
    const text = `${name} is release ${manifest.releaseCounter ?? 0} in the repository, not ${model.releaseCounter}`;
    throw new PhaseError('mix_and_match', text);
  }
  if (model.manifestSha256 !== undefined && model.manifestSha256 !== manifest.sha256) {
    throw new PhaseError('mix_and_match', `${name} in the repository is another package`);
  }
  return files;
}

/** Tells packages apart, whatever they are called. */
function digestOf(files: Files): string {
  const lines = [...files].map(([name, { sha256 }]) => `${sha256} ${name}`);
  return createHash('sha256').update(lines.toSorted().join('\n')).digest('hex');
}

export async function isThere(path: string, { bytes, sha256 }: TrustedTarget): Promise<boolean> {
  const found = await hashOfFile(path);
  return found?.bytes === bytes && found.sha256 === sha256;
}

async function removeStrangers(folder: string, files: Files): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    // oxlint-disable-next-line no-await-in-loop -- rare
    if (!entry.isDirectory() && !files.has(name)) await removeDurably(path);
  }
}
