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

/** Devices that were selected and are no targets. */
export function LeftOut({ left }: { readonly left: Rollout['left'] }) {
  if (left.length === 0) return <p class="muted">No device that was selected is left out.</p>;
  return (
    <>
      <h3>Left out</h3>
      <ul class="reasons">
        {left.map(({ reason, devices, examples }) => (
          <li key={reason}>
            <strong>{plural(devices, 'device')}</strong> {reason} <Examples ids={examples} />
          </li>
        ))}
      </ul>
    </>
  );
}
