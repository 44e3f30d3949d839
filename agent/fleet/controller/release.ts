import type { RolloutSpec } from '../../contracts/rollout.ts';
import type { TrustedTargets } from '../../deploy/tuf/trusted-targets.ts';
import { RolloutError } from '../rollouts/error.ts';

export type ReleaseAsked = RolloutSpec['model'];

const MANIFEST = 'manifest.json';

/**
 * The release that was asked for, with its counter and the digest of its manifest as the repository
 * has them. Throws RolloutError `unknown_model` for one that is not there, or is another.
 */
export function releaseOf(
  trusted: TrustedTargets | null,
  asked: ReleaseAsked,
): Required<ReleaseAsked> {
  const { name, version } = asked;
  if (trusted === null) {
    throw new RolloutError('unknown_model', 'the repository cannot be read or believed right now');
  }
  const manifest = trusted.packageFiles(name, version).get(MANIFEST);
  if (manifest === undefined || manifest.releaseCounter === null) {
    throw new RolloutError('unknown_model', `the repository has no ${name} ${version}: publish it`);
  }
  const { releaseCounter, sha256: manifestSha256 } = manifest;
  const isOther =
    (asked.releaseCounter ?? releaseCounter) !== releaseCounter ||
    (asked.manifestSha256 ?? manifestSha256) !== manifestSha256;
  if (isOther) {
    const message = `${name} ${version} in the repository is release ${releaseCounter}, another one`;
    throw new RolloutError('unknown_model', message);
  }
  return { name, version, releaseCounter, manifestSha256 };
}
