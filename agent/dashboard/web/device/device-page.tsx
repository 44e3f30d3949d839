import { useEffect, useState } from 'preact/hooks';
import type { BenchLine, Device, DeviceRow } from '../../../contracts/dashboard.ts';
import type { JobRecord } from '../../../contracts/job.ts';
import { followDevice } from '../api/events.ts';
import { getDevice } from '../api/client.ts';
import { serverNow } from '../state/clock.ts';
import { complete, devices } from '../state/fleet.ts';
import { ONLINE_METRIC } from '../../../contracts/presence.ts';
import { isAway } from '../state/presence.ts';
import { linkTo } from '../state/router.ts';
import { createStore, useStore, type Store } from '../state/store.ts';
import { Empty } from '../ui/empty.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { Decision } from './decision.tsx';
import { DeviceHead } from './device-head.tsx';
import { Facts } from './facts.tsx';
import { Jobs } from './jobs.tsx';
import { LiveCharts } from './live-charts.tsx';
import type { Sample } from './live-series.ts';

interface Live {
  readonly jobs: ReadonlyMap<string, JobRecord>;
  readonly benches: readonly BenchLine[];
  readonly samples: Store<readonly Sample[]>;
}

/** What the device has said since the page was opened. */
function useLive(deviceId: string): Live {
  const [jobs, setJobs] = useState<ReadonlyMap<string, JobRecord>>(new Map());
  const [benches, setBenches] = useState<readonly BenchLine[]>([]);
  const [samples] = useState(() => createStore<readonly Sample[]>([]));
  useEffect(() => {
    const stream = followDevice(deviceId, {
      telemetry: ({ ts, values }) => samples.set([...samples.get().slice(-KEPT), { ts, values }]),
      job: ({ job }) => setJobs((before) => new Map(before).set(job.jobId, job)),
      bench: ({ bench }) => setBenches((before) => [bench, ...before]),
    });
    return stream.close;
  }, [deviceId]);
  return { jobs, benches, samples };
}

/** Samples that are kept for the charts; an hour at one in four seconds. */
const KEPT = 900;

/** Tells the charts when the device goes and comes back. */
function usePresence(row: DeviceRow, samples: Store<readonly Sample[]>): void {
  const away = isAway(row);
  useEffect(() => {
    const ts = away ? (row.lastSeenMs ?? 0) : serverNow();
    const values = { [ONLINE_METRIC]: away ? 0 : 1 };
    samples.set([...samples.get().slice(-KEPT), { ts, values }]);
  }, [away]);
}

/** Of two records of a job, the one with the higher `seq` holds. */
function joinJobs(loaded: readonly JobRecord[], live: ReadonlyMap<string, JobRecord>): JobRecord[] {
  const known = new Set(loaded.map((job) => job.jobId));
  const fresh = [...live.values()].filter((job) => !known.has(job.jobId)).toReversed();
  return [
    ...fresh,
    ...loaded.map((job) => {
      const newer = live.get(job.jobId);
      return newer !== undefined && newer.seq > job.seq ? newer : job;
    }),
  ];
}

function joinBenches(loaded: readonly BenchLine[], live: readonly BenchLine[]): BenchLine[] {
  const known = new Set(loaded.map((bench) => bench.benchId));
  return [...live.filter((bench) => !known.has(bench.benchId)), ...loaded];
}

function Body({ device, live }: { readonly device: Device; readonly live: Live }) {
  const row = useStore(devices).byId.get(device.row.deviceId);
  const isGone = useStore(complete) && row === undefined;
  const current = row ?? device.row;
  usePresence(current, live.samples);
  const benches = joinBenches(device.benches, live.benches);
  return (
    <>
      {isGone && (
        <p class="problem" role="status">
          This device is not in the fleet any more: it was revoked or taken away.
        </p>
      )}
      <DeviceHead row={current} isGone={isGone} twin={device.twin} />
      <div class="device-grid">
        <Decision deviceId={device.row.deviceId} benches={benches} decisions={device.decisions} />
        <LiveCharts deviceId={device.row.deviceId} latest={device.latest} samples={live.samples} />
        <Facts birth={device.birth} twin={device.twin} row={current} />
        <Jobs jobs={joinJobs(device.jobs, live.jobs)} />
      </div>
    </>
  );
}

export function DevicePage({ deviceId }: { readonly deviceId: string }) {
  const live = useLive(deviceId);
  const { value, problem } = useLoaded(deviceId, (signal) => getDevice(deviceId, signal));
  return (
    <div class="page">
      <p class="crumb">
        <a href={linkTo(['fleet'])}>Fleet</a> / <span class="mono">{deviceId}</span>
      </p>
      {value === null && problem === null && <p class="loading">Loading</p>}
      {value === null && problem !== null && <Empty title={problem}>Is the id right?</Empty>}
      {value !== null && <Body device={value} live={live} />}
    </div>
  );
}
