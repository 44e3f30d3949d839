import { useEffect, useState } from 'preact/hooks';
import type { JobCounts, Wave } from '../../../contracts/rollout.ts';
import { onTick, serverNow } from '../state/clock.ts';
import { formatNumber, formatPart, plural, toMs } from '../ui/format.ts';
import { StateBadge } from '../ui/state-badge.tsx';
import {
  comparedWords,
  doneOf,
  partsOf,
  soakLeft,
  waveName,
  waveStateWords,
} from './wave-words.ts';

/** How many devices are how far, as parts of one bar. */
export function CountsBar({ counts }: { readonly counts: JobCounts }) {
  const parts = partsOf(counts).filter(([, devices]) => devices > 0);
  const text = parts.map(([name, devices]) => `${formatNumber(devices)} ${name}`).join(', ');
  return (
    <div class="counts-bar" role="img" aria-label={text === '' ? 'no devices' : text}>
      {parts.map(([name, devices]) => (
        <span
          key={name}
          class={`part ${name}`}
          style={{ flexGrow: String(devices) }}
          title={`${formatNumber(devices)} ${name}`}
        />
      ))}
    </div>
  );
}

export function CountsWords({ counts }: { readonly counts: JobCounts }) {
  return (
    <p class="counts-words">
      {partsOf(counts)
        .filter(([, devices]) => devices > 0)
        .map(([name, devices]) => (
          <span key={name}>
            <span class={`swatch part ${name}`} aria-hidden="true" />
            <span class="figure">{formatNumber(devices)}</span> {name}
          </span>
        ))}
      {counts.rolledBack > 0 && (
        <span>
          <span class="figure">{formatNumber(counts.rolledBack)}</span> went back to what they had
        </span>
      )}
    </p>
  );
}

function Soak({ until }: { readonly until: string | null }) {
  const ms = toMs(until);
  const [text, setText] = useState(soakLeft(ms, serverNow()));
  useEffect(() => {
    const update = () => setText(soakLeft(ms, serverNow()));
    update();
    return onTick(update);
  }, [ms]);
  return text === null ? null : <span class="figure soak">{text}</span>;
}

interface WaveCardProps {
  readonly wave: Wave;
  readonly current: boolean;
  /** The rollout. */
  readonly hasEnded: boolean;
}

/** One wave: who is in it, how far they are, and what came of it. */
export function WaveCard({ wave, current, hasEnded }: WaveCardProps) {
  const { counts, compared } = wave;
  const done = doneOf(counts);
  const changes = comparedWords(compared);
  return (
    <li class={`card wave ${current ? 'current' : ''}`} aria-current={current ? 'step' : undefined}>
      <div class="wave-head">
        <h3>{waveName(wave)}</h3>
        <StateBadge kind={wave.state} text={waveStateWords(wave, hasEnded)} />
        {wave.state === 'soaking' && !hasEnded && <Soak until={wave.soakUntil} />}
        <span class="wave-share figure">
          {formatNumber(done)} of {plural(counts.targets, 'device')},{' '}
          {formatPart(done, counts.targets)}
        </span>
      </div>
      <CountsBar counts={counts} />
      <CountsWords counts={counts} />
      <p class="wave-classes muted">
        {Object.entries(wave.classes)
          .map(([name, devices]) => `${name} ${formatNumber(devices)}`)
          .join(' · ')}
      </p>
      {changes.length > 0 && compared !== null && (
        <p class="wave-compared">
          Medians of {plural(compared.devices, 'device')} against themselves before:{' '}
          {changes.join(', ')}
        </p>
      )}
      {wave.verdict !== null && <p class="wave-verdict">{wave.verdict}</p>}
    </li>
  );
}
