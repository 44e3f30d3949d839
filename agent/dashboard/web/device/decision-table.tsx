import { useState } from 'preact/hooks';
import { formatBytes, formatMs } from '../ui/format.ts';
import { DecisionChart } from './decision-chart.tsx';
import type { Candidate, Choice } from './decision-points.ts';

interface LineProps {
  readonly candidate: Candidate;
  readonly number: number;
  readonly lit: boolean;
  readonly onLight: (number: number | null) => void;
}

function CandidateLine({ candidate, number, lit, onLight }: LineProps) {
  const { id, verdict, reason, p90Ms, valueText, bytes } = candidate;
  return (
    <tr
      class={`${verdict} ${lit ? 'lit' : ''}`}
      onMouseEnter={() => onLight(number)}
      onMouseLeave={() => onLight(null)}
    >
      <td class="numeric">{number}</td>
      <th scope="row">
        <span class="mono">{id}</span>
        <span class="reason">{verdict === 'chosen' ? `Chosen: ${reason}` : reason}</span>
      </th>
      <td class="numeric">{formatMs(p90Ms)}</td>
      <td class="numeric">{valueText}</td>
      <td class="numeric">{formatBytes(bytes)}</td>
    </tr>
  );
}

function Notes({ lines }: { readonly lines: readonly string[] }) {
  if (lines.length === 0) return null;
  return (
    <ul class="reasons">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

interface TableProps {
  readonly choice: Choice;
  readonly notes: readonly string[];
}

/** Every candidate, in the chart and in a list under it. */
export function DecisionTable({ choice, notes }: TableProps) {
  const [lit, setLit] = useState<number | null>(null);
  return (
    <>
      <DecisionChart choice={choice} lit={lit} onLight={setLit} />
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Candidates, all of them">
        <table class="data candidates">
          <thead>
            <tr>
              <th scope="col" class="numeric">
                #
              </th>
              <th scope="col">candidate and why</th>
              <th scope="col" class="numeric">
                p90 ms
              </th>
              <th scope="col" class="numeric">
                {choice.quality.name}
              </th>
              <th scope="col" class="numeric">
                size
              </th>
            </tr>
          </thead>
          <tbody>
            {choice.candidates.map((candidate, index) => (
              <CandidateLine
                key={candidate.id}
                candidate={candidate}
                number={index + 1}
                lit={lit === index + 1}
                onLight={setLit}
              />
            ))}
          </tbody>
        </table>
      </div>
      <Notes lines={notes} />
    </>
  );
}
