import type { Rollout } from '../../../contracts/rollout.ts';
import { groupBy } from '../state/group.ts';
import { plural } from '../ui/format.ts';
import { Examples } from './left-out.tsx';

type Failure = Rollout['failures'][number];

const sum = (failures: readonly Failure[]) =>
  failures.reduce((total, failure) => total + failure.devices, 0);

function Reason({
  code,
  failures,
}: {
  readonly code: string;
  readonly failures: readonly Failure[];
}) {
  return (
    <li class="failure">
      <p>
        <strong>{plural(sum(failures), 'device')}</strong> <span class="mono">{code}</span>
      </p>
      <ul>
        {failures.map((failure) => (
          <li key={`${failure.class} ${failure.text}`}>
            <span class="failure-class">
              {failure.class} <span class="figure">{failure.devices}</span>
            </span>{' '}
            <span class="failure-text">{failure.text}</span> <Examples ids={failure.examples} />
          </li>
        ))}
      </ul>
    </li>
  );
}

/** Why devices failed, the most frequent reason first, each by hardware class. */
export function Failures({ failures }: { readonly failures: readonly Failure[] }) {
  const reasons = [...groupBy(failures, (failure) => failure.code).entries()].toSorted(
    ([, left], [, right]) => sum(right) - sum(left),
  );
  return (
    <section class="card failures" aria-labelledby="failures-title">
      <h2 id="failures-title">Failures</h2>
      {reasons.length === 0 ? (
        <p class="muted">No device has failed.</p>
      ) : (
        <ul class="reasons">
          {reasons.map(([code, members]) => (
            <Reason key={code} code={code} failures={members} />
          ))}
        </ul>
      )}
    </section>
  );
}
