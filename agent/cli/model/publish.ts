import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { PackageNames, PublishReport } from '../../contracts/publish.ts';
import { readNamedText } from '../../util/read.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { writeJson, type Io } from '../output.ts';
import { wholeNumber } from '../parsers.ts';
import { bytesText } from '../../fit/report/words.ts';
import { keptRoot, repositorySigningOptions } from './shared.ts';

interface Flags {
  readonly key: readonly string[];
  readonly passphraseFile?: string;
  readonly repository: string;
  readonly root?: string;
  readonly name?: string;
  readonly release?: number;
  readonly packageVersion?: string;
  readonly agent?: true;
  readonly json?: true;
}

const EXAMPLES = `
Every file of the package becomes a signed file of the repository. Name and
version are those of its manifest. A version is published once: devices may
have it. Whoever can write into a repository can replace its first root, too:
sign with --root and a copy of it that you keep elsewhere.

Examples:
  agent model publish kws-2.1.0/ --repository repository/ \\
    --key release.key --key online.key
  agent model publish edgefit-agent_0.2.0_arm64.tar.gz --agent \\
    --repository repository/ --key release.key --key online.key

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent model publish PACKAGE`: a release into the repository. */
export function publishCommand({ io }: CliContext): Command {
  const command = new Command('publish')
    .summary('add a package to a signed repository')
    .description('Adds a model package to a signed repository, as the next release of its model.')
    .argument('<package>', "the package's folder, or the archive of an agent")
    .addOption(new Option('--repository <folder>', 'the repository').makeOptionMandatory())
    .option('--name <name>', 'name of the model, instead of the one in the manifest')
    .option('--package-version <version>', 'version, instead of the one in the manifest')
    .option('--release <n>', 'release counter; one more than the highest', wholeNumber({ min: 1 }))
    .option('--agent', 'it is an archive of the agent itself, for selfupdate jobs')
    .option('--json', 'print the release as JSON (edgefit/publish/1)');
  return repositorySigningOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (packageFolder: string, flags: Flags) => {
      if (flags.agent === true) return publishArchive(packageFolder, flags, io);
      const named = await namesIn(packageFolder);
      const model = flags.name ?? named.name;
      const version = flags.packageVersion ?? named.version;
      if (model === undefined || version === undefined) {
        const missing = model === undefined ? 'name (--name)' : 'version (--package-version)';
        throw new UsageError(`the manifest of ${packageFolder} gives no ${missing}`);
      }
      const { openKeys } = await import('./passphrase.ts');
      const { publishPackage } = await import('../../deploy/publish.ts');
      const published = await publishPackage({
        folder: flags.repository,
        firstRoot: await keptRoot(flags.root),
        keys: await openKeys(flags, io),
        nowMs: Date.now(),
        packageFolder,
        model,
        version,
        releaseCounter: flags.release,
      });
      const report: PublishReport = { schema: 'edgefit/publish/1', ...published };
      return tell(report, flags, io);
    });
}

/** The archive of an agent: its version and platform are in it. */
async function publishArchive(archive: string, flags: Flags, io: Io): Promise<void> {
  if (flags.name !== undefined || flags.packageVersion !== undefined) {
    throw new UsageError(
      'an archive of the agent names itself: leave out --name, --package-version',
    );
  }
  const { openKeys } = await import('./passphrase.ts');
  const { publishAgent } = await import('../../deploy/agents/publish.ts');
  const { version, platform, releaseCounter, bytes } = await publishAgent({
    folder: flags.repository,
    firstRoot: await keptRoot(flags.root),
    keys: await openKeys(flags, io),
    nowMs: Date.now(),
    archive,
    releaseCounter: flags.release,
  });
  const names = { model: 'edgefit-agent', version, platform };
  return tell(
    { schema: 'edgefit/publish/1', ...names, releaseCounter, files: 1, bytes },
    flags,
    io,
  );
}

function tell(report: PublishReport, { json }: Flags, io: Io): void {
  if (json === true) writeJson(io, report);
  else io.stdout.write(`${describe(report)}\n`);
}

function describe({ model, version, releaseCounter, files, bytes }: PublishReport): string {
  return `${model} ${version} is release ${releaseCounter}: ${files} files, ${bytesText(bytes)}`;
}

/** The two names alone: the rest of the manifest is checked by whoever uses the package. */
async function namesIn(folder: string): Promise<PackageNames> {
  const path = join(folder, 'manifest.json');
  const text = await readNamedText(path);
  const { packageNamesSchema } = await import('../../contracts/publish.ts');
  try {
    return packageNamesSchema.parse(JSON.parse(text));
  } catch (cause) {
    const message = `${path} is no package manifest: make one with 'agent model pack'`;
    throw new UsageError(message, { cause });
  }
}
