import type { Rollout } from '../../../contracts/rollout.ts';
import { linkTo } from '../state/router.ts';
import { plural } from '../ui/format.ts';

/** A few devices by name, each a link to its page. */
export function Examples({ ids }: { readonly ids: readonly string[] }) {
  return (
    <span class="examples">
      {ids.map((id) => (
        <a key={id} class="mono" href={linkTo(['devices', id])} title={id}>
          {id}
        </a>
      ))}
    </span>
  );
}

/** The controller's reasons; one that is newer than this page is shown as it comes. */
const REASONS: Readonly<Record<string, string>> = {
  in_another_rollout: 'take part in another rollout of the model',
  cloned: 'two machines use the id of each',
  already_installed: 'run this version already',
  takes_no_deploy_jobs: 'take no deploy jobs',
  does_not_know_the_key: 'do not know the key of the controller',
};

function wordsOf(reason: string): string {
  return Object.hasOwn(REASONS, reason) ? (REASONS[reason] ?? reason) : reason.replaceAll('_', ' ');
}

/** Devices that were selected and are no targets. */
export function LeftOut({ left }: { readonly left: Rollout['left'] }) {
  if (left.length === 0) return <p class="muted">No device that was selected is left out.</p>;
  return (
    <>
      <h3>Left out</h3>
      <ul class="reasons">
        {left.map(({ reason, rollout, devices, examples }) => (
          <li key={`${reason} ${rollout ?? ''}`}>
            <strong>{plural(devices, 'device')}</strong> {wordsOf(reason)}{' '}
            {rollout !== undefined && (
              <>
                <a class="mono" href={linkTo(['rollouts', rollout])}>
                  {rollout}
                </a>
                :{' '}
              </>
            )}
            <Examples ids={examples} />
          </li>
        ))}
      </ul>
    </>
  );
}
