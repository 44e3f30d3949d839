import type { AgentPackage } from '../../contracts/agent-package.ts';
import { TrustError } from '../errors.ts';
import { highestRelease, refuseOldCounter } from '../publish.ts';
import { digestOf, store } from '../stored-file.ts';
import { contentsOf, type NewTarget } from '../tuf/authority.ts';
import { agentPath, AGENTS_PREFIX } from '../tuf/layout.ts';
import { withLock } from '../tuf/lock.ts';
import { changeTargets, readRepository, type RepositoryOptions } from '../tuf/repository.ts';
import { describeArchive } from './archive.ts';

export interface PublishAgentOptions extends RepositoryOptions {
  /** The archive, as scripts/build-deb.js makes it. */
  readonly archive: string;
  /** Grows with every version; the archives of one version share it. The next free one by default. */
  readonly releaseCounter?: number | undefined;
}

export interface PublishedAgent {
  readonly version: string;
  readonly platform: AgentPackage['platform'];
  readonly releaseCounter: number;
  readonly bytes: number;
}

/**
 * Adds an archive of the agent to a repository. The same archive is not added twice; another one of the
 * same version and platform is refused. Throws TrustError, NotTrusted, FileError.
 */
export async function publishAgent(options: PublishAgentOptions): Promise<PublishedAgent> {
  const { folder, firstRoot, archive } = options;
  const described = await describeArchive(archive);
  // Before a lock is written into what may be any folder.
  await readRepository(folder, firstRoot);
  return withLock(folder, () => publishAlone(options, described));
}

async function publishAlone(
  options: PublishAgentOptions,
  { version, platform }: AgentPackage,
): Promise<PublishedAgent> {
  const { folder, firstRoot, archive } = options;
  const known = contentsOf((await readRepository(folder, firstRoot)).targets.signed).files;
  const path = agentPath(version, platform);
  const found = await digestOf(archive);
  const published = { version, platform, bytes: found.bytes };
  const same = known.find((file) => file.path === path);
  if (same !== undefined) {
    if (same.sha256 === found.sha256) {
      return { ...published, releaseCounter: same.releaseCounter ?? 0 };
    }
    const what = `agent ${version} for ${platform} is published as another archive`;
    throw new TrustError('EXISTS', `${what}: give it a new version`);
  }
  const releaseCounter = counterFor(known, version, options.releaseCounter);
  const file = { source: archive, path, ...found, releaseCounter };
  await store(folder, file);
  await changeTargets(options, { add: [file] });
  return { ...published, releaseCounter };
}

/** That of the same version for another platform, else the one wanted or the next. */
function counterFor(known: readonly NewTarget[], version: string, wanted?: number): number {
  const ofVersion = highestRelease(known, `${AGENTS_PREFIX}${version}/`);
  if (ofVersion > 0 && (wanted === undefined || wanted === ofVersion)) return ofVersion;
  const highest = highestRelease(known, AGENTS_PREFIX);
  const counter = wanted ?? highest + 1;
  refuseOldCounter('the agent', highest, counter);
  return counter;
}
