import { Command, Option } from 'commander';
import type { VerifyReport } from '../../contracts/publish.ts';
import { bytesText } from '../../fit/report/words.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { writeJson } from '../output.ts';

interface Flags {
  readonly root: string;
  readonly model?: string;
  readonly packageVersion?: string;
  readonly json?: true;
}

const EXAMPLES = `
Does what a device does: follows the metadata from the first root, checks
signatures, versions and expiry, and downloads every file under its hash.
Nothing is kept.

Examples:
  agent model verify https://models.example/ --root 1.root.json
  agent model verify http://127.0.0.1:8080 --root 1.root.json --model kws --json

Exit codes: 0 everything is as signed, 1 it is not, 2 bad usage or input.`;

/** `agent model verify URL`: would a device believe this repository? */
export function verifyCommand({ io, signal }: CliContext): Command {
  return new Command('verify')
    .summary('check a repository as a device would')
    .description('Checks a repository as a device would, and downloads what it offers.')
    .argument('<url>', 'address of the repository')
    .addOption(
      new Option(
        '--root <file>',
        'root metadata that devices are enrolled with',
      ).makeOptionMandatory(),
    )
    .option('--model <name>', 'only the files of this model')
    .option('--package-version <version>', 'only those of this version')
    .option('--json', 'print the files as JSON (edgefit/verify/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (url: string, flags: Flags) => {
      if (flags.packageVersion !== undefined && flags.model === undefined) {
        throw new UsageError('--package-version needs --model');
      }
      const { checkRepository } = await import('../../deploy/check-repository.ts');
      const { trusted, files } = await checkRepository({
        url,
        rootFile: flags.root,
        model: flags.model,
        version: flags.packageVersion,
        signal,
      });
      const { agingOf } = await import('../../deploy/tuf/trusted-targets.ts');
      const warnings = agingOf(trusted.expiries(), Date.now());
      for (const line of warnings) io.stderr.write(`warning: ${line}\n`);
      if (flags.json === true) {
        const { rootVersion, targetsVersion } = trusted;
        const list = files.map(({ path, bytes, sha256, releaseCounter }) => ({
          path,
          bytes,
          sha256,
          releaseCounter,
        }));
        const report: VerifyReport = {
          schema: 'edgefit/verify/1',
          url,
          rootVersion,
          targetsVersion,
          expires: trusted.expiries(),
          warnings: [...warnings],
          files: list,
        };
        writeJson(io, report);
        return;
      }
      const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
      io.stdout.write(
        `root ${trusted.rootVersion}, targets ${trusted.targetsVersion}: ` +
          `${files.length} files, ${bytesText(bytes)}, all as signed\n`,
      );
    });
}
