import { useEffect, useState } from 'preact/hooks';
import type { Rollout } from '../../../contracts/rollout.ts';
import { getRollout } from '../api/client.ts';
import { onRollout, recoveries } from '../api/events.ts';
import { linkTo } from '../state/router.ts';
import { useStore } from '../state/store.ts';
import { Ago } from '../ui/ago.tsx';
import { Empty } from '../ui/empty.tsx';
import { FactsList } from '../ui/facts-list.tsx';
import { formatNumber, formatPart, formatSpan, plural, toMs } from '../ui/format.ts';
import { StateBadge } from '../ui/state-badge.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { Failures } from './failures.tsx';
import { LeftOut } from './left-out.tsx';
import { RolloutControls } from './rollout-controls.tsx';
import { CountsBar, CountsWords, WaveCard } from './wave-card.tsx';
import { doneOf } from './wave-words.ts';

function useRollout(rolloutId: string) {
  const { value, problem } = useLoaded(rolloutId, (signal) => getRollout(rolloutId, signal));
  const [live, setLive] = useState<Rollout | null>(null);
  const [isGone, setGone] = useState(false);
  // It may have been taken away in a gap, or made again: what is read anew says so.
  const recovered = useStore(recoveries);
  useEffect(() => {
    setGone(false);
    setLive(null);
  }, [recovered]);
  const take = (rollout: Rollout) =>
    setLive((before) => (before === null || rollout.rev >= before.rev ? rollout : before));
  useEffect(
    () =>
      onRollout(
        ({ rollout }) => {
          if (rollout.rolloutId !== rolloutId) return;
          setGone(false);
          take(rollout);
        },
        (gone) => {
          if (gone.rolloutId === rolloutId) setGone(true);
        },
      ),
    [rolloutId],
  );
  const loaded = value?.rollout ?? null;
  // What has come since it was asked for says more than that it could not be read then.
  const isNewer = live !== null && (problem !== null || live.rev >= (loaded?.rev ?? 0));
  const rollout = isNewer ? live : loaded;
  return { rollout, isGone, problem: live === null ? problem : null, take };
}

function SpecList({ rollout }: { readonly rollout: Rollout }) {
  const { spec } = rollout;
  const lines = [
    ['Where', spec.where === '' ? 'every device' : spec.where],
    ['Waves', `${spec.waves.join(', ')} %`],
    ['Canaries', `${spec.canaryPerClass} per class`],
    ['Soak', formatSpan(spec.soakSeconds * 1000)],
    [
      'Stops at',
      `${spec.maxFailed.percent} % and ${plural(spec.maxFailed.count, 'device')} failed`,
    ],
    ['Then', spec.onFailed],
    ['Precision', spec.policy?.precision ?? 'each device decides'],
    [
      'Window',
      spec.window === undefined
        ? 'any time'
        : `${spec.window.cron}, ${spec.window.durationMinutes} min`,
    ],
    ['By', rollout.createdBy ?? 'unknown'],
  ] as const;
  return <FactsList lines={lines} />;
}

/** An end as it was planned, and what somebody wanted, are nothing to be alarmed at. */
function noteClass(code: string): string {
  if (code === 'completed') return 'muted';
  return code === 'operator' ? 'note' : 'note bad';
}

function Head({ rollout, onChange }: { rollout: Rollout; onChange: (rollout: Rollout) => void }) {
  const { counts, spec } = rollout;
  return (
    <header class="card rollout-head">
      <div class="device-title">
        <h1 class="mono" title={rollout.rolloutId}>
          {rollout.rolloutId}
        </h1>
        <StateBadge kind={rollout.state} />
        <RolloutControls rollout={rollout} onChange={onChange} />
      </div>
      <p>
        <strong>
          {spec.model.name} {spec.model.version}
        </strong>{' '}
        to {plural(counts.targets, 'device')}, {formatPart(doneOf(counts), counts.targets)} done
        {rollout.offline > 0 && `, ${formatNumber(rollout.offline)} not online`}. Created{' '}
        <Ago ms={toMs(rollout.createdAt)} />.
      </p>
      {rollout.reason !== null && (
        <p class={noteClass(rollout.reason.code)}>
          {rollout.reason.text} <span class="mono">({rollout.reason.code})</span>
        </p>
      )}
      <CountsBar counts={counts} />
      <CountsWords counts={counts} />
    </header>
  );
}

/** One rollout, wave by wave. */
export function RolloutPage({ rolloutId }: { readonly rolloutId: string }) {
  const { rollout, isGone, problem, take } = useRollout(rolloutId);
  return (
    <div class="page">
      <p class="crumb">
        <a href={linkTo(['rollouts'])}>Rollouts</a> / <span class="mono">{rolloutId}</span>
      </p>
      {rollout === null && problem === null && <p class="loading">Loading</p>}
      {rollout === null && problem !== null && <Empty title={problem}>Is the id right?</Empty>}
      {(isGone || (rollout !== null && problem !== null)) && (
        <p class="problem" role="status">
          {isGone ? 'This rollout is not kept any more.' : problem}
        </p>
      )}
      {rollout !== null && (
        <>
          <Head rollout={rollout} onChange={take} />
          <div class="rollout-grid">
            <ol class="waves" aria-label="Waves">
              {rollout.waves.map((wave) => (
                <WaveCard
                  key={wave.index}
                  wave={wave}
                  current={wave.index === rollout.wave}
                  hasEnded={rollout.endedAt !== null}
                />
              ))}
            </ol>
            <div class="rollout-side">
              <Failures failures={rollout.failures} />
              <section class="card" aria-labelledby="spec-title">
                <h2 id="spec-title">Asked for</h2>
                <SpecList rollout={rollout} />
                <LeftOut left={rollout.left} />
              </section>
            </div>
          </div>
        </>
      )}
    </div>
  );
}
