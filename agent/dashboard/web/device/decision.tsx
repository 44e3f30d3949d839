import { useState } from 'preact/hooks';
import type { CandidateRow } from '../../../contracts/bench.ts';
import type { BenchLine } from '../../../contracts/dashboard.ts';
import { getBench } from '../api/client.ts';
import { linkTo } from '../state/router.ts';
import { Ago } from '../ui/ago.tsx';
import { Empty } from '../ui/empty.tsx';
import {
  formatBytes,
  formatMs,
  formatNumber,
  formatShare,
  formatTime,
  toMs,
  UNKNOWN,
} from '../ui/format.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import { DecisionChart } from './decision-chart.tsx';
import { qualityOf } from './decision-points.ts';

interface RowProps {
  readonly row: CandidateRow;
  readonly number: number;
  readonly lit: boolean;
  readonly onLight: (number: number | null) => void;
}

function qualityText(row: CandidateRow): string {
  if (row.accuracy !== null) return formatShare(row.accuracy.value, 2);
  if (row.fidelity === null) return UNKNOWN;
  return row.fidelity.sqnrDb === null ? 'exact' : `${formatNumber(row.fidelity.sqnrDb, 1)} dB`;
}

function CandidateLine({ row, number, lit, onLight }: RowProps) {
  return (
    <tr
      class={`${row.verdict} ${lit ? 'lit' : ''}`}
      onMouseEnter={() => onLight(number)}
      onMouseLeave={() => onLight(null)}
    >
      <td class="numeric">{number}</td>
      <th scope="row">
        <span class="mono">{row.id}</span>
        <span class="reason">
          {row.verdict === 'chosen' ? `Chosen: ${row.reason}` : row.reason}
        </span>
      </th>
      <td class="numeric">{formatMs(row.latencyMs?.p90)}</td>
      <td class="numeric">{qualityText(row)}</td>
      <td class="numeric">{formatBytes(row.bytes)}</td>
    </tr>
  );
}

function Report({ bench }: { readonly bench: BenchLine }) {
  const [lit, setLit] = useState<number | null>(null);
  const { value: report, problem } = useLoaded(`${bench.deviceId}/${bench.benchId}`, (signal) =>
    getBench(bench.deviceId, bench.benchId, signal),
  );
  if (problem !== null) return <p class="problem">{problem}</p>;
  if (report === null) return <div class="chart-space" aria-busy="true" />;
  const quality = qualityOf(report);
  return (
    <>
      <DecisionChart report={report} quality={quality} lit={lit} onLight={setLit} />
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
                {quality.name}
              </th>
              <th scope="col" class="numeric">
                size
              </th>
            </tr>
          </thead>
          <tbody>
            {report.candidates.map((row, index) => (
              <CandidateLine
                key={row.id}
                row={row}
                number={index + 1}
                lit={lit === index + 1}
                onLight={setLit}
              />
            ))}
          </tbody>
        </table>
      </div>
      <Notes lines={[...report.warnings, ...report.notTried.map(notTriedLine)]} />
    </>
  );
}

const notTriedLine = (each: { precision: string; why: string }) =>
  `${each.precision} was not tried: ${each.why}`;

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

interface DecisionProps {
  readonly deviceId: string;
  readonly benches: readonly BenchLine[];
}

/** What the device measured last, and why it runs what it runs. */
export function Decision({ deviceId, benches }: DecisionProps) {
  const [chosen, setChosen] = useState<string | null>(null);
  const bench = benches.find((each) => each.benchId === chosen) ?? benches[0];
  return (
    <section class="card decision" aria-labelledby="decision-title">
      <div class="card-head">
        <h2 id="decision-title">Decision</h2>
        {bench !== undefined && (
          <span class="muted">
            {bench.model.name}, <Ago ms={toMs(bench.ts)} />
          </span>
        )}
        {benches.length > 1 && (
          <select
            aria-label="Report"
            value={bench?.benchId}
            onChange={(event) => setChosen(event.currentTarget.value)}
          >
            {benches.map((each) => (
              <option key={each.benchId} value={each.benchId}>
                {formatTime(toMs(each.ts)).slice(0, 16)} {each.model.name}
              </option>
            ))}
          </select>
        )}
        {bench !== undefined && (
          <a href={linkTo(['compare'], { left: `${deviceId}/${bench.benchId}` })}>Compare</a>
        )}
      </div>
      {bench === undefined ? (
        <Empty title="No benchmark has come from this device">
          Bench, above, measures the model it runs.
        </Empty>
      ) : (
        <Report bench={bench} />
      )}
    </section>
  );
}
