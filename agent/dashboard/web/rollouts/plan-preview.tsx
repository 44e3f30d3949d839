import type { ComponentChildren } from 'preact';
import type { Rollout, Wave } from '../../../contracts/rollout.ts';
import { formatNumber, plural } from '../ui/format.ts';
import { LeftOut } from './left-out.tsx';
import { waveName } from './wave-words.ts';

function classesOf(plan: Rollout): string[] {
  return [...new Set(plan.waves.flatMap((wave) => Object.keys(wave.classes)))].toSorted();
}

function WaveLine({ wave, classes }: { readonly wave: Wave; readonly classes: readonly string[] }) {
  return (
    <tr>
      <th scope="row">{waveName(wave)}</th>
      <td class="numeric">{formatNumber(wave.counts.targets)}</td>
      {classes.map((each) => (
        <td key={each} class="numeric">
          {wave.classes[each] === undefined ? '·' : formatNumber(wave.classes[each])}
        </td>
      ))}
    </tr>
  );
}

interface PlanProps {
  readonly plan: Rollout;
  readonly children: ComponentChildren;
}

/** What a rollout would do: its waves by hardware class, and who is left out and why. */
export function PlanPreview({ plan, children }: PlanProps) {
  const classes = classesOf(plan);
  return (
    <section class="card" aria-labelledby="plan-title">
      <h2 id="plan-title">Plan</h2>
      <p>
        <strong>{plural(plan.counts.targets, 'device')}</strong> in{' '}
        {plural(plan.waves.length, 'wave')}
        {plan.offline > 0 && `; ${formatNumber(plan.offline)} of them are not online now`}.
      </p>
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Waves by class">
        <table class="data">
          <thead>
            <tr>
              <th scope="col">wave</th>
              <th scope="col" class="numeric">
                devices
              </th>
              {classes.map((each) => (
                <th key={each} scope="col" class="numeric">
                  {each}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {plan.waves.map((wave) => (
              <WaveLine key={wave.index} wave={wave} classes={classes} />
            ))}
          </tbody>
        </table>
      </div>
      <LeftOut left={plan.left} />
      {children}
    </section>
  );
}
