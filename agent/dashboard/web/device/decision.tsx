import { useState } from 'preact/hooks';
import type { BenchLine } from '../../../contracts/dashboard.ts';
import type { DeviceDecision } from '../../../contracts/device-decision.ts';
import { getBench } from '../api/client.ts';
import { linkTo } from '../state/router.ts';
import { Ago } from '../ui/ago.tsx';
import { Empty } from '../ui/empty.tsx';
import { formatTime, toMs } from '../ui/format.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import { choiceOfDecision, choiceOfReport } from './decision-points.ts';
import { DecisionTable } from './decision-table.tsx';

function Report({ bench }: { readonly bench: BenchLine }) {
  const { value: report, problem } = useLoaded(`${bench.deviceId}/${bench.benchId}`, (signal) =>
    getBench(bench.deviceId, bench.benchId, signal),
  );
  if (problem !== null) return <p class="problem">{problem}</p>;
  if (report === null) return <div class="chart-space" aria-busy="true" />;
  const notes = [...report.warnings, ...report.notTried.map(notTriedLine)];
  return <DecisionTable choice={choiceOfReport(report)} notes={notes} />;
}

const notTriedLine = (each: { precision: string; why: string }) =>
  `${each.precision} was not tried: ${each.why}`;

/** What a device tells of the release that it runs, for as long as it runs it. */
function Told({ decision }: { readonly decision: DeviceDecision }) {
  const { model, version, chosen } = decision;
  return (
    <>
      <p>
        <strong>{chosen.precision}</strong> of {model} {version}: {chosen.reason}
      </p>
      <DecisionTable choice={choiceOfDecision(decision)} notes={[calibrationLine(decision)]} />
    </>
  );
}

function calibrationLine({ calibration: { source, samples } }: DeviceDecision): string {
  if (source === 'none') return 'Calibrated without samples.';
  const whose = source === 'recorded' ? 'recorded there' : 'of the package';
  return `Calibrated with ${samples} samples ${whose}.`;
}

/** Something that shows why a device runs what it runs. */
interface Source {
  readonly key: string;
  readonly model: string;
  readonly ms: number | null;
  readonly bench?: BenchLine;
  readonly decision?: DeviceDecision;
}

/** Reports and what the device tells itself, the newest first. */
function sourcesOf(
  benches: readonly BenchLine[],
  decisions: readonly DeviceDecision[],
): readonly Source[] {
  const told = decisions.map((decision) => ({
    key: `runs ${decision.model}`,
    model: `${decision.model} ${decision.version}, as it runs`,
    ms: toMs(decision.decidedAt),
    decision,
  }));
  const measured = benches.map((bench) => ({
    key: bench.benchId,
    model: bench.model.name,
    ms: toMs(bench.ts),
    bench,
  }));
  return [...told, ...measured].toSorted((a, b) => (b.ms ?? 0) - (a.ms ?? 0));
}

interface DecisionProps {
  readonly deviceId: string;
  readonly benches: readonly BenchLine[];
  readonly decisions: readonly DeviceDecision[];
}

/** What the device measured last, and why it runs what it runs. */
export function Decision({ deviceId, benches, decisions }: DecisionProps) {
  const [chosen, setChosen] = useState<string | null>(null);
  const sources = sourcesOf(benches, decisions);
  const source = sources.find(({ key }) => key === chosen) ?? sources[0];
  const { bench, decision } = source ?? {};
  return (
    <section class="card decision" aria-labelledby="decision-title">
      <div class="card-head">
        <h2 id="decision-title">Decision</h2>
        {source !== undefined && (
          <span class="muted">
            {source.model}, <Ago ms={source.ms} />
          </span>
        )}
        {sources.length > 1 && (
          <select
            aria-label="Report"
            value={source?.key}
            onChange={(event) => setChosen(event.currentTarget.value)}
          >
            {sources.map(({ key, model, ms }) => (
              <option key={key} value={key}>
                {formatTime(ms).slice(0, 16)} {model}
              </option>
            ))}
          </select>
        )}
        {bench !== undefined && (
          <a href={linkTo(['compare'], { left: `${deviceId}/${bench.benchId}` })}>Compare</a>
        )}
      </div>
      {source === undefined && (
        <Empty title="No benchmark has come from this device">
          Bench, above, measures the model it runs.
        </Empty>
      )}
      {bench !== undefined && <Report bench={bench} />}
      {decision !== undefined && <Told decision={decision} />}
    </section>
  );
}
