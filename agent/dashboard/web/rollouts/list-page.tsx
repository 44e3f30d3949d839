import { useEffect, useState } from 'preact/hooks';
import type { Rollout } from '../../../contracts/rollout.ts';
import { getRollouts } from '../api/client.ts';
import { onRollout, recoveries } from '../api/events.ts';
import { useLeader } from '../shell/banner.tsx';
import { linkTo } from '../state/router.ts';
import { session, whyNot } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { Ago } from '../ui/ago.tsx';
import { Empty } from '../ui/empty.tsx';
import { formatNumber, formatPart, toMs } from '../ui/format.ts';
import { StateBadge } from '../ui/state-badge.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { CountsBar } from './wave-card.tsx';
import { doneOf } from './wave-words.ts';

/** All rollouts, kept up to date; the newest first. */
function useRollouts() {
  const { value, problem } = useLoaded('rollouts', getRollouts);
  // Null: it is kept no more.
  const [live, setLive] = useState<ReadonlyMap<string, Rollout | null>>(new Map());
  // What came before a gap may be gone since: the list that is read anew says what there is.
  const recovered = useStore(recoveries);
  useEffect(() => setLive(new Map()), [recovered]);
  useEffect(() => {
    const take = (id: string, rollout: Rollout | null) =>
      setLive((before) => new Map(before).set(id, rollout));
    return onRollout(
      ({ rollout }) => take(rollout.rolloutId, rollout),
      ({ rolloutId }) => take(rolloutId, null),
    );
  }, []);
  const all = new Map((value?.rollouts ?? []).map((rollout) => [rollout.rolloutId, rollout]));
  for (const [id, rollout] of live) {
    if (rollout === null) all.delete(id);
    else if (rollout.rev > (all.get(id)?.rev ?? 0)) all.set(id, rollout);
  }
  const rollouts = [...all.values()].toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  return { rollouts, problem, loaded: value !== null };
}

function RolloutLine({ rollout }: { readonly rollout: Rollout }) {
  const { rolloutId, spec, counts, wave, waves } = rollout;
  const done = doneOf(counts);
  const bad = counts.failed + counts.rejected;
  return (
    <tr>
      <th scope="row">
        <a class="mono" href={linkTo(['rollouts', rolloutId])} title={rolloutId}>
          {rolloutId}
        </a>
        <span class="muted rollout-where">{spec.where === '' ? 'every device' : spec.where}</span>
      </th>
      <td>
        <StateBadge kind={rollout.state} />
      </td>
      <td>
        {spec.model.name} <span class="muted">{spec.model.version}</span>
      </td>
      <td class="rollout-progress">
        <CountsBar counts={counts} />
        <span class="figure">
          {formatNumber(done)} / {formatNumber(counts.targets)}, {formatPart(done, counts.targets)}
        </span>
      </td>
      <td class="numeric">{wave === null ? '–' : `${wave + 1} of ${waves.length}`}</td>
      <td class={`numeric ${bad > 0 ? 'bad-text' : ''}`}>{formatNumber(bad)}</td>
      <td class="numeric">
        <Ago ms={toMs(rollout.createdAt)} />
      </td>
    </tr>
  );
}

export function RolloutListPage() {
  const { rollouts, problem, loaded } = useRollouts();
  const refused = whyNot(useStore(session));
  const leader = useLeader();
  return (
    <div class="page">
      <div class="page-head">
        <h1>Rollouts</h1>
        {refused === null ? (
          <a class="button primary" href={linkTo(['new-rollout'])}>
            New rollout
          </a>
        ) : (
          <span class="muted small">{refused}.</span>
        )}
      </div>
      {leader === null && (
        <p class="note">
          No controller leads: rollouts stand still. Start one with{' '}
          <code>agent fleet controller</code>.
        </p>
      )}
      {problem !== null && <p class="problem">{problem}</p>}
      {loaded && rollouts.length === 0 && (
        <Empty title="No rollout yet">
          A rollout brings one version of a model to many devices, wave by wave.
        </Empty>
      )}
      {rollouts.length > 0 && (
        <div class="table-scroll card" tabIndex={0} role="group" aria-label="Rollouts">
          <table class="data rollout-table">
            <thead>
              <tr>
                <th scope="col">rollout</th>
                <th scope="col">state</th>
                <th scope="col">model</th>
                <th scope="col">progress</th>
                <th scope="col" class="numeric">
                  wave
                </th>
                <th scope="col" class="numeric">
                  failed
                </th>
                <th scope="col" class="numeric">
                  created
                </th>
              </tr>
            </thead>
            <tbody>
              {rollouts.map((rollout) => (
                <RolloutLine key={rollout.rolloutId} rollout={rollout} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
